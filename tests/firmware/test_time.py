"""A board that has run for weeks: its clock of 32 bits in milliseconds wraps after 49.7 days, that in ticks after 497.

    test_time.py BOARD [--seed S]

The debugger puts the clock shortly before. On a network that loses frames, so that TCP's timers are needed, a client that talks
stays connected, nothing of QoS 1 is lost, and the keep alive finds one that is mute.
"""

import argparse
import random
import time

import board
import fixture
import gdb
import relay

TICK_MS = 10
BEFORE_S = 6
WRAPS = {"milliseconds": 2**32 // TICK_MS, "ticks": 2**32}
MUTE_KEEPALIVE_S = 4
TALKS_KEEPALIVE_S = 60  # frames that are lost in a row keep it silent for seconds; a clock that jumps, for weeks
ROUNDS_MAX = 1000


def clock(one, port, set_to=None):
    """Ticks since the start."""
    stopped = gdb.Gdb(port)
    places = [one.symbol("ticks_low"), one.symbol("ticks_high")]
    low, high = (int.from_bytes(stopped.read(place, 4), "little") for place in places)
    if set_to is not None:
        stopped.write(places[0], set_to.to_bytes(4, "little"))
    stopped.go()
    return high << 32 | low


def talk(one, talks, mute, port, until):
    """One client publishes to itself until the clock has come so far, and the mute one was found."""
    since = one.mark()
    silent = one.client(mute, keepalive=MUTE_KEEPALIVE_S)
    number = 0
    while clock(one, port) < until or not any(f"{mute} " in line and "keep alive [" in line for line in one.lines[since:]):
        number += 1
        talks.publish("echo", f"{number}", 1)
        message = talks.receive_publish()
        board.expect(message.payload == f"{number}".encode(), f"got {message.payload} as number {number}")
        board.expect(number < ROUNDS_MAX, f"{mute} was never found, or the clock stands still")
        time.sleep(0.1)
    silent.cut()


def wraps(name, seed, wrap):
    port = fixture.free_port()
    with relay.Relay(seed, drop=0.02) as wires:
        with board.Board(name, network=wires.board_network(), extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
            one.address = ("127.0.0.1", wires.forwarded)
            clock(one, port, wrap - BEFORE_S * 1000 // TICK_MS)
            talks = one.client("talks", keepalive=TALKS_KEEPALIVE_S)
            talks.subscribe(("echo", 1))
            talk(one, talks, "mute-before", port, wrap)
            talk(one, talks, "mute-after", port, wrap)
            talks.disconnect()
            one.settled()
            board.expect(clock(one, port) >= wrap, "the clock went back")


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("board")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    for what, wrap in WRAPS.items():
        wraps(options.board, options.seed, wrap)
        print(f"{what}: ok", flush=True)


if __name__ == "__main__":
    main()
