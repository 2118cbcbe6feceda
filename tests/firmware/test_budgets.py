"""An image that exceeds a budget, or into which a heap was linked, is not built: boards/sizes.py says so.

    test_budgets.py BOARD IMAGE_WITH_HEAP
"""

import pathlib
import subprocess
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
LARGE = 1 << 30


def complaints(map_path, image, flash=LARGE, ram=LARGE, core=LARGE):
    command = [sys.executable, ROOT / "boards" / "sizes.py", "--board", "test", "--flash", str(flash), "--ram", str(ram)]
    done = subprocess.run([*command, "--core", str(core), map_path, image], capture_output=True, text=True)
    lines = done.stderr.splitlines()
    assert done.returncode == (1 if lines else 0), f"status {done.returncode} with {lines}"
    return lines


def main(name, with_heap):
    image = ROOT / "build" / "firmware" / name / "midge.elf"
    map_path = image.with_suffix(".map")
    assert complaints(map_path, image) == []
    for budget, words in (("flash", "flash:"), ("ram", "RAM:"), ("core", "the broker's code:")):
        lines = complaints(map_path, image, **{budget: 1000})
        assert len(lines) == 1 and words in lines[0], f"{budget}: {lines}"
    lines = complaints(map_path, with_heap)
    assert len(lines) == 1 and "a heap was linked in" in lines[0] and "malloc" in lines[0], lines


if __name__ == "__main__":
    main(*sys.argv[1:])
