"""Shows what the core needs from outside and what it shows to the outside, for several compilers and both widths of index.

The core is compiled and put together into one object. Its undefined symbols may be memcpy, memmove, memset and memcmp, and
on ARM the compiler's own arithmetic; every symbol it defines for others starts with midge_; it has no writable data of its
own, since all its memory is handed to it, but for the place of a failed assertion. On the host it is then linked with
-nostdlib against these four functions alone.

A sample that breaks these rules is examined first and must be found, so that the test is known to be able to fail.
"""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
ALLOWED = {"memcpy", "memmove", "memset", "memcmp"}
# Arithmetic that the ARM compiler calls: 64-bit products, divisions and shifts, and on thumb1 also 32-bit divisions and the
# jumps of a switch.
ARM_HELPERS = {
    "__aeabi_lmul", "__aeabi_ldivmod", "__aeabi_uldivmod", "__aeabi_llsl", "__aeabi_llsr", "__aeabi_lasr", "__aeabi_lcmp",
    "__aeabi_ulcmp", "__aeabi_idiv", "__aeabi_idivmod", "__aeabi_uidiv", "__aeabi_uidivmod",
    "__gnu_thumb1_case_sqi", "__gnu_thumb1_case_uqi", "__gnu_thumb1_case_shi", "__gnu_thumb1_case_uhi", "__gnu_thumb1_case_si",
}  # fmt: skip

# Title, prefix of the tools, compiler, widths of an index. Position-independent code would need its constant tables writable.
TOOLCHAINS = [
    ("gcc -O2, as in the release", "", ["gcc", "-O2", "-fno-pie"], (16, 32)),
    ("gcc -O2 -ffreestanding", "", ["gcc", "-O2", "-fno-pie", "-ffreestanding"], (16, 32)),
    ("clang -Os -ffreestanding", "", ["clang", "-Os", "-fno-pie", "-ffreestanding"], (16, 32)),
    ("gcc -Os, Cortex-M3", "arm-none-eabi-", ["arm-none-eabi-gcc", "-Os", "-mthumb", "-mcpu=cortex-m3"], (16,)),
    ("gcc -Os, Cortex-M0+", "arm-none-eabi-", ["arm-none-eabi-gcc", "-Os", "-mthumb", "-mcpu=cortex-m0plus"], (16,)),
]

FOUR_FUNCTIONS = """
#include <stddef.h>
void *memcpy(void *to, const void *from, size_t size)
{ char *t = to; const char *f = from; while (size--) *t++ = *f++; return to; }
void *memmove(void *to, const void *from, size_t size) { return memcpy(to, from, size); }
void *memset(void *to, int value, size_t size) { char *t = to; while (size--) *t++ = (char)value; return to; }
int memcmp(const void *a, const void *b, size_t size) { return size ? *(const char *)a - *(const char *)b : 0; }
"""

# Each of these lines breaks one rule.
BAD_SAMPLE = """
#include <stdlib.h>
void *midge_bad_call(void) { return malloc(3); }
void bad_name(void) {}
int midge_bad_data = 1;
static int hidden_data;
int midge_count(void) { return ++hidden_data; }
"""
BAD_SAMPLE_FINDINGS = 4


def run(command):
    return subprocess.run([str(part) for part in command], check=True, capture_output=True, text=True).stdout


def symbols_of(prefix, path):
    """(type, name) as nm prints them: U undefined, capitals external, d b D B writable data, C common."""
    rows = [line.split() for line in run([prefix + "nm", path]).splitlines()]
    return [(row[-2], row[-1]) for row in rows]


def examine(prefix, path):
    """The undefined symbols, and what is wrong."""
    allowed = ALLOWED | ARM_HELPERS if prefix else ALLOWED
    undefined = []
    wrong = []
    for kind, name in symbols_of(prefix, path):
        if kind in "Uvw":
            undefined.append(name)
            if name not in allowed:
                wrong.append(f"needs {name} from outside")
        elif kind.isupper() and not name.startswith("midge_"):
            wrong.append(f"defines the external symbol {name}")
        if kind in "bBdDC":
            wrong.append(f"has writable data of its own: {name}")
    return sorted(undefined), wrong


def compile_core(command, bits, sources, folder):
    """Compiles the sources and puts them together into one object."""
    flags = ["-std=c11", f"-DMIDGE_INDEX_BITS={bits}", f"-I{ROOT}/broker", "-c"]
    objects = []
    for source in sources:
        objects.append(folder / (source.stem + ".o"))
        run(command + flags + [source, "-o", objects[-1]])
    whole = folder / "core.whole.o"
    run(command + ["-nostdlib", "-r", "-o", whole] + objects)
    return whole


def link_alone(command, whole, folder):
    """Links the core against the four functions and nothing else."""
    source = folder / "four.c"
    source.write_text(FOUR_FUNCTIONS, encoding="utf-8")
    run(command + ["-ffreestanding", "-fno-builtin", "-c", source, "-o", folder / "four.o"])
    run(command + ["-nostdlib", "-static", "-no-pie", "-Wl,-e,midge_init", "-o", folder / "alone", whole, folder / "four.o"])


def sample_is_found(folder):
    source = folder / "sample.c"
    source.write_text(BAD_SAMPLE, encoding="utf-8")
    _, wrong = examine("", compile_core(["gcc", "-O2", "-fno-pie"], 32, [source], folder))
    print(f"a sample with {BAD_SAMPLE_FINDINGS} breaches: " + "; ".join(wrong))
    return len(wrong) == BAD_SAMPLE_FINDINGS


def main():
    sources = sorted((ROOT / "broker").glob("*.c"))
    failures = 0 if sources else 1
    with tempfile.TemporaryDirectory() as name:
        folder = pathlib.Path(name)
        if not sample_is_found(folder):
            print("WRONG: the breaches in the sample were not found")
            failures += 1
        for title, prefix, command, widths in TOOLCHAINS:
            for bits in widths:
                whole = compile_core(command, bits, sources, folder)
                undefined, wrong = examine(prefix, whole)
                print(f"{title}, {bits}-bit indices: needs {' '.join(undefined) or 'nothing'}")
                for text in wrong:
                    print(f"WRONG: {text}")
                failures += len(wrong)
                if not prefix and not wrong:
                    link_alone(command, whole, folder)
    print(f"{len(sources)} files, {failures} failures")
    return 1 if failures else 0


if __name__ == "__main__":
    try:
        sys.exit(main())
    except subprocess.CalledProcessError as error:
        print(f"{' '.join(error.cmd)}\n{error.stderr}")
        sys.exit(1)
