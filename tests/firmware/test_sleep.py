"""A board sleeps when there is nothing to do, and a frame wakes it up.

    test_sleep.py BOARD COUNT_SO

By counting instructions (count.c): a loop that never slept would do hundreds of thousands between two ticks of the clock.
"""

import pathlib
import sys
import tempfile
import time

import board

IDLE_INSTRUCTIONS_MAX = 20000
PINGS, WAKES_MIN = 200, 10


def main(name, plugin):
    with tempfile.TemporaryDirectory() as folder:
        path = pathlib.Path(folder) / "counts"
        with board.Board(name, extra=["-plugin", f"{plugin},out={path}"]) as one:
            time.sleep(3)
            client = one.client("sleeper")
            for _ in range(PINGS):
                client.ping()
            client.disconnect()
            tick, wake = one.symbol("midge_cortex_m_tick") & ~1, one.symbol("midge_cortex_m_wake") & ~1
        counts = {int(address): int(count) for address, count in map(str.split, path.read_text(encoding="ascii").splitlines())}
    each = sum(counts.values()) // counts[tick]
    print(f"{each} instructions between two ticks, {counts.get(wake, 0)} wakes by a device in {PINGS} pings")
    board.expect(each <= IDLE_INSTRUCTIONS_MAX, "the board does not sleep")
    # A frame that comes before the board sleeps again needs no wake.
    board.expect(counts.get(wake, 0) >= WAKES_MIN, "frames wait for the clock's next tick")


if __name__ == "__main__":
    main(*sys.argv[1:])
