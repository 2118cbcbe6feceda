"""The mutation check: builds the core with one deliberate bug at a time, and fails where neither the simulator nor the
conformance scenarios notice. README.md in this folder says how to add one."""
import argparse
import concurrent.futures
import dataclasses
import os
import pathlib
import re
import resource
import shutil
import subprocess
import sys

HERE = pathlib.Path(__file__).resolve().parent
BROKER = HERE.parent.parent / "broker"
FIRST_SEEDS = 10
CPU_SECONDS = 120  # processor time, not time on the wall: a bug may let the core spin


@dataclasses.dataclass
class Mutation:
    name: str
    what: str
    edits: list  # of [code, replacement]


class Flaw(Exception):
    """The check itself has to be mended."""


def parse(path):
    """Reads mutations.txt."""
    mutations = []
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        mark, text = line[:1], line[2:]
        if mark == "=":
            name, _, what = text.partition(": ")
            mutations.append(Mutation(name, what, []))
        elif mark == "<":
            edits = mutations[-1].edits
            if edits and not edits[-1][1]:
                edits[-1][0] += "\n" + text
            else:
                edits.append([text, ""])
        elif mark == ">":
            mutations[-1].edits[-1][1] += text + "\n"
        elif mark not in ("", "#"):
            raise Flaw(f"{path.name}:{number}: a line begins with =, <, >, # or is empty")
    return mutations


def pattern(code):
    """Matches the code with any white space between its tokens."""
    tokens = re.findall(r"\w+|[^\w\s]", code)
    parts = [re.escape(tokens[0])]
    for before, token in zip(tokens, tokens[1:]):
        words = before[-1].isalnum() or before[-1] == "_"
        words = words and (token[0].isalnum() or token[0] == "_")
        parts.append((r"\s+" if words else r"\s*") + re.escape(token))
    return re.compile("".join(parts))


def apply(mutation, sources):
    """Returns the changed files: name -> text."""
    changed = {}
    for code, replacement in mutation.edits:
        found = []
        for name, text in sources.items():
            found += [(name, match) for match in pattern(code).finditer(changed.get(name, text))]
        if len(found) != 1:
            raise Flaw(
                f"{mutation.name}: no longer applies, since this code occurs {len(found)} times in broker/; "
                f"adapt tests/mutation/mutations.txt:\n    {code}"
            )
        name, match = found[0]
        text = changed.get(name, sources[name])
        changed[name] = text[: match.start()] + replacement.rstrip("\n") + text[match.end() :]
    return changed


def run(command, limit=None):
    def limit_cpu():
        if limit is not None:
            resource.setrlimit(resource.RLIMIT_CPU, (limit, limit))
            resource.setrlimit(resource.RLIMIT_CORE, (0, 0))

    return subprocess.run(command, stdout=subprocess.PIPE, stderr=subprocess.STDOUT, text=True, errors="replace",
                          preexec_fn=limit_cpu, check=False)


class Builder:
    """Compiles what a mutation changes, and links it in front of the unchanged core."""

    def __init__(self, arguments):
        self.compiler = arguments.compiler
        self.core = arguments.core
        self.objects = {"sim": arguments.sim, "conformance": arguments.conformance}
        self.folder = pathlib.Path(arguments.work)
        self.sources = {path.name: path.read_text(encoding="utf-8") for path in sorted(BROKER.glob("*.[ch]"))}

    def build(self, mutation):
        folder = self.folder / mutation.name
        shutil.rmtree(folder, ignore_errors=True)
        shutil.copytree(BROKER, folder)
        changed = apply(mutation, self.sources)
        for name, text in changed.items():
            (folder / name).write_text(text, encoding="utf-8")
        header = any(name.endswith(".h") for name in changed)
        files = [name for name in (self.sources if header else changed) if name.endswith(".c")]
        objects = []
        for name in files:
            objects.append(str(folder / (name + ".o")))
            done = run([self.compiler, "-std=c11", "-O1", "-w", "-DMIDGE_INDEX_BITS=32", "-c", str(folder / name), "-o",
                        objects[-1]])
            if done.returncode != 0:
                raise Flaw(f"{mutation.name}: does not compile\n{done.stdout}")
        for program, response in self.objects.items():
            done = run([self.compiler, *objects, "@" + response, self.core, "-o", str(folder / program)])
            if done.returncode != 0:
                raise Flaw(f"{mutation.name}: does not link\n{done.stdout}")
        return folder


def simulator(program, seeds):
    """Returns what the simulator noticed, None if nothing."""
    done = run([str(program), "--seed", "1", "--count", str(seeds)], CPU_SECONDS)
    if done.returncode == 0:
        return None
    count = len(re.findall(r"^seed \d+", done.stdout, re.M)) + 1
    match = re.search(r"^FAILED: seed \d+, (.*)", done.stdout, re.M)
    if match:
        said = match.group(1)
    elif "crashed" in done.stdout:
        said = "an assertion of the core fails"
    else:
        said = "it does not end"
    return f"sim, {count} seed{'s' if count > 1 else ''}: {said}"


def conformance(program):
    scenarios = sorted(str(path) for path in (HERE.parent / "conformance" / "scenarios").glob("*.scn"))
    done = run([str(program), "--group", "usual", *scenarios], CPU_SECONDS)
    if done.returncode == 0:
        return None
    match = re.search(r"^FAILED.*", done.stdout, re.M)
    return "conformance: " + (match.group(0) if match else done.stdout.strip().splitlines()[0])


def check(builder, mutation, seeds):
    """Returns what noticed the mutation, None where it escapes."""
    folder = builder.build(mutation)
    # What the first seeds do not find, a scenario may: that is cheaper than the rest of the seeds.
    noticed = simulator(folder / "sim", min(seeds, FIRST_SEEDS)) or conformance(folder / "conformance")
    noticed = noticed or simulator(folder / "sim", seeds)
    shutil.rmtree(folder)
    return noticed


def shrink(builder, mutation, seeds):
    """The simulator finds the few steps that a mutation needs, and replays them: True if it does."""
    folder = builder.build(mutation)
    done = run([str(folder / "sim"), "--seed", "1", "--count", str(seeds), "--shrink"], CPU_SECONDS)
    shutil.rmtree(folder)
    match = re.search(r"^seed \d+ fails, and so do (\d+) of its (\d+) steps:", done.stdout, re.M)
    end = done.stdout.strip().splitlines()[-1]
    print(match.group(0) if match else done.stdout, end, sep="\n")
    if not match or done.returncode == 0:
        return False
    # What is told last is how those steps fail, not that they pass.
    return 0 < int(match.group(1)) <= int(match.group(2)) // 100 and not end.startswith("seed ")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--compiler", required=True)
    parser.add_argument("--core", required=True, help="the unchanged core, a library")
    parser.add_argument("--sim", required=True, help="file with the objects of the simulator")
    parser.add_argument("--conformance", required=True, help="file with the objects of the conformance runner")
    parser.add_argument("--work", required=True, help="folder for what is built")
    parser.add_argument("--seeds", type=int, default=120, help="of the simulator, for each mutation")
    parser.add_argument("--shrink", action="store_true", help="only see whether sim --shrink finds the steps that matter")
    parser.add_argument("names", nargs="*", help="mutations; all if none is given")
    arguments = parser.parse_args()
    mutations = parse(HERE / "mutations.txt")
    chosen = [mutation for mutation in mutations if not arguments.names or mutation.name in arguments.names]
    builder = Builder(arguments)
    if arguments.shrink:
        sys.exit(0 if chosen and all([shrink(builder, mutation, arguments.seeds) for mutation in chosen]) else 1)
    none = Mutation("none", "no bug at all", [])
    noticed = simulator(builder.build(none) / "sim", arguments.seeds)
    if noticed:
        sys.exit(f"without any mutation the simulator fails: {noticed}")
    failed = 0
    with concurrent.futures.ThreadPoolExecutor(os.cpu_count()) as pool:
        results = {pool.submit(check, builder, mutation, arguments.seeds): mutation for mutation in chosen}
        for done in concurrent.futures.as_completed(results):
            mutation = results[done]
            try:
                noticed = done.result()
                print(f"{mutation.name}: {noticed or 'ESCAPES: ' + mutation.what}", flush=True)
                failed += noticed is None
            except Flaw as flaw:
                print(f"FLAW: {flaw}", flush=True)
                failed += 1
    print(f"{len(chosen)} mutations, {failed} not caught")
    sys.exit(1 if failed or not chosen else 0)


if __name__ == "__main__":
    main()
