"""The tables of flash and RAM in firmware/README.md are those of the images; --update puts them there.

    test_table.py [--update]
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
    options = parser.parse_args()
    boards = sorted(file.parent.name for file in ROOT.glob("boards/*/board.cmake"))
    tables = [(ROOT / "build" / "firmware" / name / "midge.txt").read_text(encoding="ascii") for name in boards]
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
    print("./dev sizes puts them right")
    return 1


if __name__ == "__main__":
    sys.exit(main())
