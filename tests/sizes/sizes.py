"""Measures what Midge costs: bytes of each structure, code size of the core, RAM of the Linux program's default limits.

    python3 tests/sizes/sizes.py --midge PATH [--check]

Puts the tables between the markers in README.md. With --check it changes nothing, and fails where README.md says something
else. Either way it fails where a budget is exceeded. The numbers are those of Debian 12's compilers.
"""

import argparse
import difflib
import pathlib
import re
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- sizes:begin -->", "<!-- sizes:end -->"

# The budgets.
IDLE_CLIENT_BYTES_MAX = 160  # 16-bit indices, a ring of 4 acknowledgements
CORTEX_M3_TEXT_MAX = 20480  # without midge_audit

RINGS = {16: 4, 32: 8}  # entries of the ring of acknowledgements: usual on a board, and on Linux

ENTRIES = [  # what a row is called, and its constant in midge.h
    ("connection", "MIDGE_CONNECTION_SIZE"),
    ("what it waits for", "MIDGE_WAIT_SIZE"),
    ("entry of its ring of acknowledgements", "MIDGE_REPLY_SIZE"),
    ("its timer", "MIDGE_TIMER_SIZE"),
    ("session", "MIDGE_SESSION_SIZE"),
    ("subscription", "MIDGE_SUBSCRIPTION_SIZE"),
    ("level of a filter", "MIDGE_FILTER_NODE_SIZE"),
    ("level of a retained topic", "MIDGE_TOPIC_NODE_SIZE"),
    ("message queued or in flight, for each receiver", "MIDGE_DELIVERY_SIZE"),
    ("QoS 2 identifier", "MIDGE_QOS2_SIZE"),
]

PICOLIBC = "/usr/lib/picolibc/riscv64-unknown-elf"  # for its string.h: nothing of it is linked

TARGETS = [  # title, prefix of the tools, compiler options, width of an index
    ("Cortex-M3", "arm-none-eabi-", ["-mthumb", "-mcpu=cortex-m3"], 16),
    ("Cortex-M0+", "arm-none-eabi-", ["-mthumb", "-mcpu=cortex-m0plus"], 16),
    ("RV32IMC", "riscv64-unknown-elf-", ["-march=rv32imc", "-mabi=ilp32", f"-isystem{PICOLIBC}/include"], 16),
    ("Cortex-A7", "arm-none-eabi-", ["-mthumb", "-mcpu=cortex-a7"], 32),
    ("x86-64", "", [], 32),
]


def run(command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def constants(bits):
    """The numbers that midge.h defines for this width."""
    text = run(["gcc", "-E", "-dM", f"-DMIDGE_INDEX_BITS={bits}", ROOT / "broker" / "midge.h"])
    found = {name: int(value) for name, value in re.findall(r"^#define (MIDGE_\w+) (\d+)u?$", text, flags=re.M)}
    found["MIDGE_INDEX_SIZE"] = bits // 8
    return found


def idle_client(sizes, ring):
    """A connected client without subscriptions: its connection with what it waits for and the ring of acknowledgements, and its
    session. Its client identifier comes on top, its timer and two indices (the bucket in which its session is found, and its
    place in the list of receivers of a message)."""
    connection = sizes["MIDGE_CONNECTION_SIZE"] + sizes["MIDGE_WAIT_SIZE"] + ring * sizes["MIDGE_REPLY_SIZE"]
    return connection + sizes["MIDGE_SESSION_SIZE"]


def public_functions():
    """The functions of midge.h that a product calls; midge_audit is for tests."""
    text = (ROOT / "broker" / "midge.h").read_text(encoding="utf-8")
    return set(re.findall(r"^[a-z][\w ]*?[ *](midge_\w+)\(", text, flags=re.M)) - {"midge_audit"}


def code_size(prefix, options, bits, sources, functions):
    """Bytes of code and constants of the core as an image has it: compiled with -Os, linked with -flto, what these functions
    need of it; with midge_audit, and without."""
    small = (ROOT / "boards" / "core.options").read_text(encoding="utf-8").split()
    gcc = [prefix + "gcc", *options, "-Os", "-flto", *small, "-fno-asynchronous-unwind-tables", "-fno-pie"]
    with tempfile.TemporaryDirectory() as folder:
        objects = []
        for source in sources:
            objects.append(pathlib.Path(folder, source.stem + ".o"))
            flags = ["-std=c11", f"-DMIDGE_INDEX_BITS={bits}", f"-I{ROOT}/broker", "-ffunction-sections", "-fdata-sections"]
            run([*gcc, *flags, "-c", source, "-o", objects[-1]])
        # The C library's memcpy and its kin are the image's, not the core's.
        link = [*gcc, "-nostdlib", "-static", "-Wl,--gc-sections,--entry=0,--build-id=none,--unresolved-symbols=ignore-all"]
        linked = pathlib.Path(folder, "core")
        sizes = []
        for roots in (functions | {"midge_audit"}, functions):
            run([*link, *[f"-Wl,-u,{root}" for root in sorted(roots)], *objects, "-o", linked])
            sizes.append(text_size(prefix, linked))
        return sizes


def text_size(prefix, linked):
    return int(run([prefix + "size", linked]).splitlines()[1].split()[0])


def measure(midge):
    sources = sorted((ROOT / "broker").glob("*.c"))
    functions = public_functions()
    return {
        "entries": {bits: constants(bits) for bits in RINGS},
        "code": [(title, bits, *code_size(*target, bits, sources, functions)) for title, *target, bits in TARGETS],
        "memory": run([midge, "--memory"]).rstrip("\n"),
    }


def broken_budgets(measured):
    """What exceeds its budget, in words."""
    broken = []
    idle = idle_client(measured["entries"][16], RINGS[16])
    if idle > IDLE_CLIENT_BYTES_MAX:
        broken.append(f"an idle client costs {idle} bytes with 16-bit indices, the most is {IDLE_CLIENT_BYTES_MAX}")
    for title, _, _, size in measured["code"]:
        if title == "Cortex-M3" and size > CORTEX_M3_TEXT_MAX:
            broken.append(f"the core has {size} bytes of code on a {title}, the most is {CORTEX_M3_TEXT_MAX}")
    return broken


def render(measured):
    """The section of README.md, without its markers."""
    small, large = measured["entries"][16], measured["entries"][32]
    lines = ["| RAM, bytes for each | 16-bit indices (boards) | 32-bit indices (Linux) |", "|---|---|---|"]
    for title, constant in ENTRIES:
        lines.append(f"| {title} | {small[constant]} | {large[constant]} |")
    idle = [f"**{idle_client(sizes, RINGS[bits])}**, ring of {RINGS[bits]}" for bits, sizes in measured["entries"].items()]
    lines.append(f"| **idle connected client**: connection, wait, ring and session | {' | '.join(idle)} |")
    compiler = "gcc -Os -flto and `boards/core.options`"
    lines += ["", f"| Code of the core, {compiler}, bytes | all | without `midge_audit`, which is for tests |"]
    lines.append("|---|---|---|")
    lines += [f"| {title}, {bits}-bit indices | {whole:,} | {used:,} |" for title, bits, whole, used in measured["code"]]
    lines += ["", "RAM of the Linux program with its default limits, as `midge --memory` prints it:", ""]
    lines += ["```", *[line.rstrip() for line in measured["memory"].splitlines()], "```"]
    return "\n".join(lines)


def replace_section(readme, section):
    """The text of README.md with this section in it."""
    before, found, rest = readme.partition(BEGIN)
    _, ended, after = rest.partition(END)
    if not found or not ended:
        raise ValueError(f"README.md lacks the markers {BEGIN} and {END}")
    return f"{before}{BEGIN}\n{section}\n{END}{after}"


def differences(old, new):
    return list(difflib.unified_diff(old.splitlines(), new.splitlines(), "README.md", "measured", lineterm=""))


def main():
    parser = argparse.ArgumentParser(description="tables of sizes")
    parser.add_argument("--midge", required=True, help="the program, for its table of memory")
    parser.add_argument("--check", action="store_true", help="change nothing; fail where README.md differs")
    options = parser.parse_args()
    measured = measure(options.midge)
    section = render(measured)
    print(section)
    path = ROOT / "README.md"
    readme = path.read_text(encoding="utf-8")
    wrong = broken_budgets(measured)
    wanted = replace_section(readme, section)
    if not options.check:
        path.write_text(wanted, encoding="utf-8")
    elif wanted != readme:
        print("\n".join(differences(readme, wanted)))
        wrong.append("README.md has other sizes than measured; ./dev sizes puts them in")
    for text in wrong:
        print(f"WRONG: {text}")
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
