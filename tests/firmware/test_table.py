"""The tables of flash and RAM in firmware/README.md are those of the images; --update puts them there.

    test_table.py [--update] BOARD...
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
README = ROOT / "firmware" / "README.md"
BEGIN, END = "<!-- images:begin -->", "<!-- images:end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--update", action="store_true")
    parser.add_argument("boards", nargs="+")
    options = parser.parse_args()
    tables = [(ROOT / "build" / "firmware" / name / "midge.txt").read_text(encoding="ascii") for name in options.boards]
    wanted = f"{BEGIN}\n```\n" + "\n".join(tables) + f"```\n{END}"
    text = README.read_text(encoding="utf-8")
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    if BEGIN + found + END == wanted:
        return 0
    if options.update:
        README.write_text(before + wanted + after, encoding="utf-8")
        return 0
    print("firmware/README.md says:", found, "but the images say:", wanted, sep="\n")
    print("Put them right with: python3 tests/firmware/test_table.py --update", *options.boards)
    return 1


if __name__ == "__main__":
    sys.exit(main())
