"""Frames are lost, doubled and reordered in both directions; what TCP and QoS 1 and 2 promise holds.

    test_lossy.py BOARD [--seed S] [--messages N]
"""

import argparse
import random

import board
import relay
import wire

DEADLINE_S = 600


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("board")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    parser.add_argument("--messages", type=int, default=60)
    options = parser.parse_args()
    print(f"seed {options.seed}")
    with relay.Relay(options.seed, drop=0.03, duplicate=0.05, reorder=0.05) as wires:
        with board.Board(options.board, network=wires.board_network()) as one:
            one.address = ("127.0.0.1", wires.forwarded)
            clients = []
            for name in ("lossy-in", "lossy-out-1", "lossy-out-2"):
                client = wire.Client(one.address, timeout=DEADLINE_S)
                board.expect(client.connect(name) == (0, 0), f"{name} was refused")
                clients.append(client)
            publisher, *subscribers = clients
            for client in subscribers:
                client.subscribe(("lossy/#", 2))
            publisher.publish("lossy/kept", b"k" * 300, 1, retain=True)
            for number in range(options.messages):
                publisher.publish(f"lossy/{number}", f"{number}".encode() * 20, 1 + number % 2)
            for client in subscribers:
                kept = client.receive_publish()
                board.expect(kept.topic == "lossy/kept", f"got {kept.topic} first")
                for number in range(options.messages):
                    message = client.receive_publish()
                    board.expect((message.topic, message.payload) == (f"lossy/{number}", f"{number}".encode() * 20),
                                 f"got {message.topic} as number {number}")
                client.ping()
            publisher.publish("lossy/kept", b"", 1, retain=True)
            for client in clients:
                client.disconnect()
            one.settled(timeout=DEADLINE_S)
    print(f"frames: {wires.counts}")
    board.expect(all(count > 0 for count in wires.counts.values()), "the network was not bad")


if __name__ == "__main__":
    main()
