"""Clients that come and go: 500 connections in a row, a third of them ended by RST, a third by FIN without DISCONNECT.

    test_storm.py BOARD [--count N] [--seed S]
"""

import argparse
import random

import board


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("board")
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    with board.Board(options.board) as one:
        witness = one.client("witness")
        witness.subscribe(("gone/#", 1))
        expected = set()
        for number in range(options.count):
            end = number % 3
            client = one.client(f"storm-{chance.randrange(40)}", clean=True, will=(f"gone/{number}", "", 1, False))
            for level in range(chance.randrange(3)):
                client.subscribe((f"a/{level}/+/{number % 7}", chance.randrange(3)))
            if chance.random() < 0.5:
                client.publish("a/1/b/2", b"y" * chance.randrange(200), chance.randrange(2))
            if end == 0:
                client.disconnect()
                continue
            expected.add(f"gone/{number}")
            if end == 1:
                client.reset()
            else:
                client.cut()
            # The will is what proves that the board has seen the end.
            message = witness.receive_publish()
            expected.discard(message.topic)
        board.expect(not expected, f"wills that never came: {sorted(expected)[:10]}")
        witness.disconnect()
        board.stack_headroom(one.settled())


if __name__ == "__main__":
    main()
