"""Checks the rules of the house that a compiler does not know: who may include whom, what the core may call, how long
things may get, and that the links in the documentation lead somewhere.

    python3 tests/tidy/check.py [ROOT]

Prints one line for each finding, `file:line: what is wrong`, and exits with 1 if there is one. Every rule has a bad example
in test_check.py that it must find.
"""

import ast
import pathlib
import re
import sys

import c_source

# ---- The rules in numbers and names ------------------------------------------------------------------------------------

# The layers inside broker/, lowest first: a module may include those of lower layers, midge.h and its own header.
LAYERS = [
    ["base"],
    ["pool", "timers", "topic"],
    ["list", "names", "store", "table"],
    ["packet", "tree"],
    ["retained", "subscriptions"],
    ["state"],  # the structures that the modules above it share
    ["access", "events", "record"],
    ["delivery", "replies", "setup"],
    ["waiting"],
    ["interest"],
    ["session", "route"],
    ["connection"],
    ["publishing"],
    ["handlers"],  # what is done with each type of packet ...
    ["connect"],  # ... and with CONNECT
    ["input", "output"],
    ["broker", "audit"],
]
PUBLIC_HEADER = "midge.h"
CORE_SYSTEM_HEADERS = {"stdint.h", "stddef.h", "stdbool.h", "limits.h", "string.h"}

# What each room may include of the other rooms; what they may include of broker/ is a rule of its own.
ROOMS = {
    "port": set(),
    "boards": {"port"},
    "firmware": {"boards", "port"},
    "tests": {"boards", "port", "firmware"},
}
BOARD_README = ("Flashing", "What it uses", "Sizes", "What only the real board can check")
BOARD_CONFIGURATION = {"lwip_limits.h"}  # what lwIP's configuration takes from the board that it is compiled for
PORTS = ("linux", "lwip")  # neither includes the other

# Calls that have no place in the core: it never allocates, blocks, prints, or asks for the time.
BANNED_CALLS = set(
    """malloc calloc realloc free alloca aligned_alloc posix_memalign mmap munmap brk sbrk
    printf fprintf sprintf snprintf vprintf vsnprintf puts putchar fputs fopen fclose fread fwrite fflush perror
    open close read write lseek ioctl fcntl socket accept bind listen connect send recv sendto recvfrom poll select epoll_wait
    time clock clock_gettime gettimeofday localtime gmtime mktime sleep usleep nanosleep
    abort exit _exit atexit assert raise signal longjmp setjmp getenv system
    rand srand random qsort bsearch strtol strtoul atoi strdup
    pthread_create pthread_mutex_lock""".split()
)

FUNCTION_LINES_MAX = 70
FILE_LINES_MAX = 600
LINE_WIDTH_MAX = 128

TOP_LEVEL = set(
    """broker port boards firmware tests dev CMakeLists.txt CMakePresets.json README.md LICENSE
    .ci .clang-format .clang-tidy .gitignore""".split()
)
ROOMS_WITH_README = ("broker", "port", "boards", "firmware", "tests")

NOT_OURS = {".git", "build", "node_modules", "__pycache__"}
CODE_SUFFIXES = {".c", ".h", ".py", ".js", ".sh", ".cmake", ".ld", ".S"}
UNFINISHED = re.compile(r"\b(" + "|".join(("TO" + "DO", "FIX" + "ME", "XX" + "X")) + r")\b")


class House:
    """The files of a tree, and the findings in it."""

    def __init__(self, root):
        self.root = pathlib.Path(root).resolve()
        self.findings = []
        self.files = sorted(self._walk(self.root))
        self._sources = {}

    def _walk(self, folder):
        for entry in folder.iterdir():
            if entry.name in NOT_OURS or entry.is_symlink():
                continue
            if entry.is_dir():
                yield from self._walk(entry)
            else:
                yield entry.relative_to(self.root)

    def found(self, path, line, text):
        self.findings.append(f"{path}:{line}: {text}")

    def text(self, path):
        return (self.root / path).read_text(encoding="utf-8", errors="replace")

    def source(self, path):
        """The C source at `path`, taken apart once."""
        if path not in self._sources:
            self._sources[path] = c_source.Source(self.text(path))
        return self._sources[path]

    def c_files(self, room=None):
        return [p for p in self.files if p.suffix in (".c", ".h") and (room is None or p.parts[0] == room)]

    def core_headers(self):
        return {p.name for p in self.c_files("broker") if p.suffix == ".h"}


# ---- Who may include whom ----------------------------------------------------------------------------------------------


def layer_of(module):
    for number, modules in enumerate(LAYERS):
        if module in modules:
            return number
    return None


def rule_core_layers(house):
    """broker/: every module has its layer, and includes lower ones only."""
    own = house.core_headers()
    for path in house.c_files("broker"):
        layer = layer_of(path.stem)
        if path.name != PUBLIC_HEADER and layer is None:
            house.found(path, 1, f"module '{path.stem}' has no layer; give it one in LAYERS of tests/tidy/check.py")
            continue
        for line, name, system in house.source(path).includes:
            if system or name not in own or name in (PUBLIC_HEADER, path.with_suffix(".h").name):
                continue
            other = layer_of(pathlib.Path(name).stem)
            if other is not None and layer is not None and other >= layer:
                house.found(path, line, f"includes {name}, which is not in a lower layer")


def rule_core_circle(house):
    """broker/: the graph of includes between modules has no circle."""
    own = house.core_headers()
    graph = {}
    for path in house.c_files("broker"):
        edges = graph.setdefault(path.stem, {})
        for line, name, system in house.source(path).includes:
            if not system and name in own and pathlib.Path(name).stem != path.stem:
                edges.setdefault(pathlib.Path(name).stem, (path, line))
    done = set()

    def visit(module, trail):
        if module in trail:
            path, line = graph[trail[-1]][module]
            circle = trail[trail.index(module):] + [module]
            house.found(path, line, "includes in a circle: " + " -> ".join(circle))
            return
        if module in done:
            return
        for other in graph.get(module, {}):
            visit(other, trail + [module])
        done.add(module)

    for module in sorted(graph):
        visit(module, [])


def rule_core_includes(house):
    """broker/: five headers of the standard library and its own files, nothing else."""
    own = house.core_headers()
    for path in house.c_files("broker"):
        for line, name, system in house.source(path).includes:
            if system and name not in CORE_SYSTEM_HEADERS:
                house.found(path, line, f"includes <{name}>; the core may use {', '.join(sorted(CORE_SYSTEM_HEADERS))} only")
            if not system and name not in own:
                house.found(path, line, f'includes "{name}", which is not a file of broker/')


def core_headers_allowed(path, own):
    """The headers of the core that a file outside of it may include."""
    if path.parts[:2] == ("tests", "unit"):
        module = re.sub(r"^test_|_test$", "", path.stem)
        if f"{module}.h" in own:
            below = layer_of(module) or 0
            return {PUBLIC_HEADER, f"{module}.h"} | {f"{m}.h" for layer in LAYERS[:below] for m in layer}
    if path.parts[:2] == ("tests", "fuzz"):
        # The parts that peers' bytes reach first are fuzzed on their own as well.
        return {PUBLIC_HEADER} | {f"{m}.h" for layer in LAYERS[:layer_of("state")] for m in layer}
    return {PUBLIC_HEADER}


def rule_core_headers_outside(house):
    """Outside broker/: midge.h only; a unit test may include its own module, and what that one is built on; a fuzzer
    what does not know the broker as a whole."""
    own = house.core_headers()
    for path in house.c_files():
        if path.parts[0] == "broker":
            continue
        allowed = core_headers_allowed(path, own)
        for line, name, system in house.source(path).includes:
            base = pathlib.PurePosixPath(name).name
            beside = (house.root / path).parent / name
            if system or base not in own or base in allowed:
                continue
            if beside.exists() and "broker" not in beside.resolve().relative_to(house.root).parts[:1]:
                continue  # a file of its own room that has the same name
            house.found(path, line, f"includes {name}; of the core this file may include {', '.join(sorted(allowed))}")


def rule_rooms(house):
    """Between the rooms: firmware -> boards, port -> broker, and no port includes the other."""
    headers = {}
    for path in house.c_files():
        if path.suffix == ".h":
            headers.setdefault(path.name, []).append(path)
    for path in house.c_files():
        room = path.parts[0]
        if room not in ROOMS:
            continue
        for line, name, system in house.source(path).includes:
            candidates = headers.get(pathlib.PurePosixPath(name).name, [])
            owners = {p.parts[0] for p in candidates}
            if system or not owners or room in owners or "broker" in owners or name in BOARD_CONFIGURATION:
                continue
            if not owners & ROOMS[room]:
                house.found(path, line, f"{room}/ may not include {name} of {'/, '.join(sorted(owners))}/")
        if room == "port" and path.parts[1] in PORTS:
            check_port(house, path, headers)


def check_port(house, path, headers):
    others = [port for port in PORTS if port != path.parts[1]]
    for line, name, system in house.source(path).includes:
        candidates = [p for p in headers.get(pathlib.PurePosixPath(name).name, []) if p.parts[0] == "port"]
        if not system and candidates and all(p.parts[1] in others for p in candidates):
            house.found(path, line, f"port/{path.parts[1]} may not include {name} of another port")


# ---- What the core may do ----------------------------------------------------------------------------------------------


def rule_banned_calls(house):
    """broker/: no allocation, no input and output, no clock, no assert of the library."""
    call = re.compile(r"(?<![\w.>])([A-Za-z_]\w*)\s*\(")
    for path in house.c_files("broker"):
        for number, text in enumerate(house.source(path).code_lines, 1):
            for match in call.finditer(text):
                if match.group(1) in BANNED_CALLS:
                    house.found(path, number, f"calls {match.group(1)}, which has no place in the core")


def rule_conditional_code(house):
    """broker/: one code path for all sizes; no #if inside a function."""
    for path in house.c_files("broker"):
        source = house.source(path)
        for line, directive in source.directives:
            if re.match(r"#\s*(if|ifdef|ifndef|elif|else)\b", directive) and source.function_at(line):
                house.found(path, line, f"conditional compilation inside {source.function_at(line).name}")


# ---- How long things may get -------------------------------------------------------------------------------------------


def rule_function_length(house):
    """A function fits on a screen."""
    for path in house.files:
        if path.suffix in (".c", ".h"):
            functions = [(f.name, f.first_line, f.last_line) for f in house.source(path).functions]
        elif path.suffix == ".py":
            tree = ast.parse(house.text(path))
            functions = [(n.name, n.lineno, n.end_lineno) for n in ast.walk(tree) if isinstance(n, ast.FunctionDef)]
        else:
            continue
        for name, first, last in functions:
            if last - first + 1 > FUNCTION_LINES_MAX:
                house.found(path, first, f"function {name} has {last - first + 1} lines, the most is {FUNCTION_LINES_MAX}")


def is_code(path):
    return path.suffix in CODE_SUFFIXES or path.name in ("dev", "CMakeLists.txt")


def rule_file_length(house):
    """A file holds one idea."""
    for path in house.files:
        lines = house.text(path).count("\n") if is_code(path) else 0
        if lines > FILE_LINES_MAX:
            house.found(path, FILE_LINES_MAX, f"the file has {lines} lines, the most is {FILE_LINES_MAX}")


def rule_line_width(house):
    """A line fits on a screen, too."""
    for path in house.files:
        for number, text in enumerate(house.text(path).splitlines() if is_code(path) else [], 1):
            if len(text) > LINE_WIDTH_MAX:
                house.found(path, number, f"the line has {len(text)} characters, the most is {LINE_WIDTH_MAX}")


def rule_unfinished(house):
    """What is not finished is in the tracker, not in the code."""
    for path in house.files:
        for number, text in enumerate(house.text(path).splitlines() if is_code(path) or path.suffix == ".md" else [], 1):
            if UNFINISHED.search(text):
                house.found(path, number, f"unfinished: {UNFINISHED.search(text).group(0)}")


# ---- Boards ------------------------------------------------------------------------------------------------------------


def rule_boards(house):
    """A board is one folder: nothing outside it names it, and its README says what is to be said of each."""
    boards = [path.parts[1] for path in house.files if path.parts[0] == "boards" and path.parts[2:] == ("board.cmake",)]
    for board in boards:
        readme = pathlib.Path("boards", board, "README.md")
        text = house.text(readme) if readme in house.files else ""
        for heading in BOARD_README:
            if f"\n## {heading}\n" not in text:
                house.found(readme, 1, f"lacks the heading {heading}")
    for path in house.files:
        others = [board for board in boards if path.parts[:2] != ("boards", board)]
        for number, text in enumerate(house.text(path).splitlines(), 1):
            if path.name == "board.cmake" and "BOARD_EMULATOR" in text:
                continue  # two boards may be one machine to an emulator
            for board in others:
                if re.search(rf"(?<![\w-]){re.escape(board)}(?![\w-])", text):
                    house.found(path, number, f"names the board {board}")


# ---- The house itself --------------------------------------------------------------------------------------------------


def rule_top_level(house):
    """The top level names the rooms, and nothing else."""
    for entry in sorted(house.root.iterdir()):
        if entry.name not in TOP_LEVEL | NOT_OURS:
            house.found(entry.name, 1, "has no place at the top level")
    for room in ROOMS_WITH_README:
        if (house.root / room).is_dir() and not (house.root / room / "README.md").exists():
            house.found(room, 1, "the room has no README.md")


def rule_front_door(house):
    """Every verb of the front door has its line of help, and every line of help its verb."""
    if pathlib.Path("dev") not in house.files:
        return
    text = house.text(pathlib.Path("dev"))
    verbs = set(re.findall(r"^verb_(\w+)\(\)", text, flags=re.M))
    helped = set(re.findall(r"^#: (\w+)", text, flags=re.M))
    for verb in sorted(verbs ^ helped):
        house.found("dev", 1, f"the verb {verb} lacks its {'help' if verb in verbs else 'function'}")


def anchors_of(text):
    """The anchors of a page's headings, as the usual renderers make them."""
    headings = re.findall(r"^#+\s+(.*?)\s*$", re.sub(r"^```.*?^```", "", text, flags=re.S | re.M), flags=re.M)
    return {re.sub(r"[^\w\- ]", "", heading.lower()).replace(" ", "-") for heading in headings}


def rule_links(house):
    """Relative links in the documentation lead somewhere."""
    link = re.compile(r"\]\(([^)\s]+)\)")
    for path in house.files:
        if path.suffix != ".md":
            continue
        for number, text in enumerate(house.text(path).splitlines(), 1):
            for target in link.findall(re.sub(r"`[^`]*`", "", text)):
                if re.match(r"[a-z]+:", target):
                    continue
                name, _, anchor = target.partition("#")
                page = (house.root / path).parent / name if name else house.root / path
                if not page.exists():
                    house.found(path, number, f"the link {target} leads nowhere")
                elif anchor and page.suffix == ".md" and anchor not in anchors_of(page.read_text(encoding="utf-8")):
                    house.found(path, number, f"the link {target} names a heading that is not there")


RULES = [rule for name, rule in sorted(globals().items()) if name.startswith("rule_")]


def check(root):
    """All findings in the tree at `root`."""
    house = House(root)
    for rule in RULES:
        rule(house)
    return sorted(set(house.findings))


def main(arguments):
    root = arguments[0] if arguments else pathlib.Path(__file__).resolve().parents[2]
    findings = check(root)
    for finding in findings:
        print(finding)
    print(f"house rules: {len(RULES)} rules, {len(findings)} findings")
    return 1 if findings else 0


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
