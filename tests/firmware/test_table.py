"""The table of flash and RAM in a board's README is that of its image; --update puts it there.

    test_table.py BOARD [--update]
"""

import argparse
import pathlib
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
BEGIN, END = "<!-- images:begin -->", "<!-- images:end -->"


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board")
    parser.add_argument("--update", action="store_true")
    options = parser.parse_args()
    readme = ROOT / "boards" / options.board / "README.md"
    table = (ROOT / "build" / "firmware" / options.board / "midge.txt").read_text(encoding="ascii")
    wanted = f"{BEGIN}\n```\n{table}```\n{END}"
    text = readme.read_text(encoding="utf-8")
    if BEGIN not in text or END not in text:
        print(f"{readme}: the lines {BEGIN} and {END} say where the table of sizes goes")
        return 1
    before, rest = text.split(BEGIN)
    found, after = rest.split(END)
    if BEGIN + found + END == wanted:
        return 0
    if options.update:
        readme.write_text(before + wanted + after, encoding="utf-8")
        return 0
    print(f"{readme} says:", found, "but the image says:", wanted, sep="\n")
    print("./dev sizes puts it right")
    return 1


if __name__ == "__main__":
    sys.exit(main())
