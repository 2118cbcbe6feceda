"""A board sleeps when there is nothing to do, and a frame wakes it up.

    test_sleep.py BOARD COUNT_SO

By counting instructions (count.c): a loop that never slept would do hundreds of thousands between two ticks of the clock. And
by stopping that clock: then only frames are left to wake the board.
"""

import pathlib
import struct
import sys
import tempfile
import time

import board
import fixture
import gdb

IDLE_INSTRUCTIONS_MAX = 20000
SHORT_SLEEPS, SHORT_S = 300, 0.01
PINGS = 50
SCRATCH = "midge_stack_start"  # the stack's lowest words, which the test never reaches
SYSTICK_CONTROL = 0xE000E010


def stop_clock(one, port):
    """The debugger cannot write to a device, so the board does, on its way."""
    stopped = gdb.Gdb(port)
    scratch = one.symbol(SCRATCH)
    # push {r0, r1}; ldr r0, =SYSTICK_CONTROL; mov.w r1, #0; str r1, [r0]; pop {r0, r1}; ldr pc, =where it was
    code = struct.pack("<8H2I", 0xB403, 0x4804, 0xF04F, 0x0100, 0x6001, 0xBC03, 0xF8DF, 0xF000, stopped.pc() | 1,
                       SYSTICK_CONTROL)
    stopped.write(scratch, code)
    stopped.jump(scratch)
    stopped.go()


def frames_are_enough(name):
    """Each frame ends a sleep, not only the first one."""
    port = fixture.free_port()
    with board.Board(name, extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
        client = one.client("sleeper")
        stop_clock(one, port)
        for _ in range(PINGS):
            client.ping()
        before, after = (clock(one, port, client) for _ in range(2))
        board.expect(before == after, "the clock did not stop")


def clock(one, port, client):
    client.ping()
    stopped = gdb.Gdb(port)
    ticks = stopped.read(one.symbol("ticks_low"), 4)
    stopped.go()
    return ticks


def sleeps(name, plugin):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "counts"
        with board.Board(name, extra=["-plugin", f"{plugin},out={path}"]) as one:
            for _ in range(SHORT_SLEEPS):  # one long one could be over before the board had its turn
                time.sleep(SHORT_S)
            tick = one.symbol("midge_cortex_m_tick") & ~1
        counts = {int(address): int(count) for address, count in map(str.split, path.read_text(encoding="ascii").splitlines())}
    each = sum(counts.values()) // counts[tick]
    print(f"{each} instructions between two ticks")
    board.expect(each <= IDLE_INSTRUCTIONS_MAX, "the board does not sleep")


def main(name, plugin):
    sleeps(name, plugin)
    frames_are_enough(name)


if __name__ == "__main__":
    main(*sys.argv[1:])
