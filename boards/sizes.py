#!/usr/bin/env python3
"""What an image takes of flash and RAM, from the linker's map; fails where a budget is exceeded or a heap was linked in."""
import argparse
import re
import subprocess
import sys

FLASH_SECTIONS = (".text", ".ARM.exidx", ".data")
RAM_SECTIONS = (".stack", ".data", ".bss", ".noinit")
# An allocator of libc's in the image would be memory that nobody has counted.
FORBIDDEN = {"malloc", "free", "calloc", "realloc", "sbrk", "_sbrk", "_malloc_r", "_free_r", "_sbrk_r"}
PARTS = (
    (".ltrans", "broker"),  # the core is what is optimized at link time
    ("liblwip.a", "lwIP"),
    ("libmbedtls.a", "mbedTLS"),
    ("/port/tls/", "TLS"),
    ("/port/", "port"),
    ("/firmware/", "firmware"),
    ("libc.a", "C library"),
    ("libgcc.a", "C library"),
    (".obj", "board"),
)
# Sections of the RAM that deserve a line of their own.
ARRAYS = (
    (".bss.memory", "broker: the pools"),
    (".bss.tls_memory", "TLS: arena"),
    (".bss.ram_heap", "lwIP: heap of what is sent"),
    (".bss.memp_memory_PBUF_POOL_base", "lwIP: receive buffers"),
    (".bss.memp_memory_TCP_PCB_base", "lwIP: TCP connections"),
    (".stack", "stack"),
)


def part_of(path):
    for mark, part in PARTS:
        if mark in path:
            return part
    return "fill"


def sections(map_path):
    """Yields (output section, input section, size, file) of what was linked."""
    text = open(map_path, encoding="utf-8", errors="replace").read()
    text = text[text.index("Linker script and memory map"):]
    text = re.sub(r"\n (\.\S+|COMMON)\n +0x", r"\n \1 0x", text)
    output = None
    for line in text.splitlines():
        match = re.match(r"(\.\S+)(?:\s+0x[0-9a-f]+\s+0x([0-9a-f]+))?", line)
        if match:
            output = match.group(1)
            if output == ".stack" and match.group(2):
                yield output, ".stack", int(match.group(2), 16), "stack"
            continue
        match = re.match(r" (\.\S+|COMMON|\*fill\*)\s+0x[0-9a-f]+\s+0x([0-9a-f]+)\s*(.*)", line)
        if match and output in FLASH_SECTIONS + RAM_SECTIONS and output != ".stack":
            yield output, match.group(1), int(match.group(2), 16), match.group(3)


def tally(map_path):
    flash, ram = {}, {}
    for output, section, size, path in sections(map_path):
        if output in FLASH_SECTIONS:
            part = part_of(path)
            flash[part] = flash.get(part, 0) + size
        if output in RAM_SECTIONS:
            name = dict(ARRAYS).get(section) or part_of(path) + ": the rest"
            name = "fill" if name == "fill: the rest" else name
            ram[name] = ram.get(name, 0) + size
    return flash, ram


def table(title, sums, budget):
    lines = [f"{title:<34}{'bytes':>9}"]
    for name, size in sorted(sums.items(), key=lambda item: -item[1]):
        if size:
            lines.append(f"  {name:<32}{size:>9,}")
    total = sum(sums.values())
    lines.append(f"  {'together':<32}{total:>9,}  of {budget:,}")
    return lines, total


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("map")
    parser.add_argument("elf")
    parser.add_argument("--nm", default="arm-none-eabi-nm")
    parser.add_argument("--board", required=True)
    parser.add_argument("--flash", type=int, required=True, help="budget in bytes")
    parser.add_argument("--ram", type=int, required=True, help="budget in bytes")
    parser.add_argument("--core", type=int, required=True, help="budget of the broker's own code in bytes")
    options = parser.parse_args()

    flash, ram = tally(options.map)
    lines, flash_total = table(f"{options.board}: flash", flash, options.flash)
    more, ram_total = table(f"{options.board}: RAM", ram, options.ram)
    print("\n".join(lines + [""] + more))

    wrong = []
    symbols = {line.split()[-1] for line in subprocess.check_output([options.nm, options.elf], text=True).splitlines()}
    if symbols & FORBIDDEN:
        wrong.append("a heap was linked in: " + ", ".join(sorted(symbols & FORBIDDEN)))
    if flash_total > options.flash:
        wrong.append(f"flash: {flash_total:,} bytes where the budget is {options.flash:,}")
    if flash.get("broker", 0) > options.core:
        wrong.append(f"the broker's code: {flash['broker']:,} bytes where the budget is {options.core:,}")
    if ram_total > options.ram:
        wrong.append(f"RAM: {ram_total:,} bytes where the budget is {options.ram:,}")
    for line in wrong:
        print(f"{options.board}: {line}", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
