"""Counts the instructions that the core takes for a message, exactly, by callgrind.

    instructions.py --program PATH                  counts, and compares with the budgets in instructions.txt
    instructions.py --program PATH --write          counts, and puts the counts into instructions.txt
    instructions.py --program PATH --profile NAME   counts one scenario, by function
"""

import argparse
import collections
import os
import pathlib
import re
import subprocess
import sys
import tempfile

TABLE = pathlib.Path(__file__).with_name("instructions.txt")

# A count may exceed its entry in the table by so much.
SLACK = 0.03

# What a port calls. Only what happens inside of these is counted.
CALLS = (
    "midge_connected",
    "midge_receive",
    "midge_output",
    "midge_output_done",
    "midge_disconnected",
    "midge_next_event",
    "midge_advance",
)

# The variants of memcpy and the like that every x86-64 processor has, so that the counts do not depend on the machine.
MISSING = "AVX512F AVX512VL AVX512BW AVX2 AVX AVX_Fast_Unaligned_Load ERMS FSRM BMI2 LZCNT MOVBE RTM"
PLAIN_PROCESSOR = "glibc.cpu.hwcaps=" + ",".join(f"-{feature}" for feature in MISSING.split())

HEADING = """# Instructions of the core (x86-64, gcc -O2) for each: a delivery; a message where nobody subscribes; a connection
# that comes and goes; a subscription. Written by ./dev bench instructions --write; a test fails where one is {slack} higher.
"""


def run(program, names, folder):
    """Runs the scenarios under callgrind; returns the files that it wrote."""
    command = ["valgrind", "--tool=callgrind", "--quiet", "--instr-atstart=no", "--compress-strings=no", "--compress-pos=no"]
    command += [f"--callgrind-out-file={folder}/out"] + [f"--toggle-collect={name}" for name in CALLS]
    done = subprocess.run(
        command + [str(program)] + names,
        stdin=subprocess.DEVNULL,
        stdout=subprocess.DEVNULL,
        env=dict(os.environ, GLIBC_TUNABLES=PLAIN_PROCESSOR),
        check=False,
    )
    if done.returncode != 0:
        sys.exit(f"instructions.py: the driver ended with {done.returncode}")
    return sorted(pathlib.Path(folder).glob("out.*"), key=lambda path: int(path.suffix[1:]))


def read_dump(path):
    """Returns name, count and the instructions of each function itself; None for a dump that is not of a scenario."""
    found = None
    costs = collections.Counter()
    function = None
    skip = False
    with open(path, encoding="utf-8", errors="replace") as lines:
        for line in lines:
            if line.startswith("desc: Trigger: Client Request: "):
                found = line.split(": ", 3)[3].split()
            elif line.startswith("fn="):
                function = line[3:].strip()
            elif line.startswith("calls="):
                skip = True  # the next line holds what was spent inside of the call
            elif re.match(r"[+*\-\d]", line) and function is not None:
                if not skip:
                    costs[function] += int(line.split()[1])
                skip = False
    return (found[0], int(found[1]), costs) if found else None


def count(program, names):
    with tempfile.TemporaryDirectory() as folder:
        dumps = [read_dump(path) for path in run(program, names, folder)]
    return [dump for dump in dumps if dump is not None]


def read_table():
    rows = {}
    for line in TABLE.read_text(encoding="utf-8").splitlines() if TABLE.exists() else []:
        if line and not line.startswith("#"):
            name, instructions = line.split()
            rows[name] = float(instructions)
    return rows


def write_table(rows):
    lines = [f"{name:<20}{instructions:>10.1f}\n" for name, instructions in rows.items()]
    TABLE.write_text(HEADING.format(slack=f"{SLACK:.0%}") + "".join(lines), encoding="utf-8")


def print_profile(name, number, costs):
    total = sum(costs.values())
    print(f"\n{name}: {total / number:.1f} instructions each, {number} of them")
    for function, cost in costs.most_common():
        if cost >= total / 500:
            print(f"  {cost / number:>10.1f} {cost / total:>6.1%}  {function}")


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--program", required=True)
    parser.add_argument("--write", action="store_true")
    parser.add_argument("--profile", action="store_true")
    parser.add_argument("names", nargs="*", help="the scenarios; all by default")
    arguments = parser.parse_args()
    budgets = read_table()
    rows = {}
    failed = []
    print(f"{'instructions each':<20}{'now':>10}{'table':>10}{'':>9}")
    for name, number, costs in count(arguments.program, arguments.names):
        now = round(sum(costs.values()) / number, 1)
        rows[name] = now
        budget = budgets.get(name)
        if budget is None or now > budget * (1 + SLACK):
            failed.append(name)
        change = f"{now / budget - 1:>+9.1%}" if budget else f"{'new':>9}"
        print(f"{name:<20}{now:>10.1f}{budget or 0:>10.1f}{change}")
        if arguments.profile:
            print_profile(name, number, costs)
    if arguments.write:
        write_table({**(budgets if arguments.names else {}), **rows})
        return 0
    missing = [] if arguments.names else [name for name in budgets if name not in rows]
    if failed or missing:
        print(f"over the budget of {TABLE.name}: {' '.join(failed) or 'none'}; not counted: {' '.join(missing) or 'none'}")
        return 1
    return 0


if __name__ == "__main__":
    sys.exit(main())
