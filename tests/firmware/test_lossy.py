"""Frames are lost, doubled and reordered in both directions; what TCP and QoS 1 and 2 promise holds.

    test_lossy.py BOARD [--seed S] [--messages N]
"""

import argparse
import random

import board
import relay
import talk
import wire

DEADLINE_S = 600


# A message of each speaker to everybody is what the smallest board can queue.
CROWD, SPEAKERS, ROUNDS = 16, 6, 4


def connect(one, name, clean=True):
    """Where its CONNECT is lost again and again until connect_timeout, it comes again."""
    since = one.mark()
    client = wire.Client(one.address, timeout=DEADLINE_S)
    try:
        board.expect(client.connect(name, clean=clean) == (0, 0), f"{name} was refused, or had a session")
        return client
    except wire.Closed:
        client.cut()
        one.wait("sent no CONNECT in time", since=since)
    return connect(one, name, clean)


def few(one, messages):
    """A retained message, and many of QoS 1 and 2 in order."""
    publisher, *subscribers = (connect(one, name) for name in ("lossy-in", "lossy-out-1", "lossy-out-2"))
    for client in subscribers:
        client.subscribe(("lossy/#", 2))
    publisher.publish("lossy/kept", b"k" * 300, 1, retain=True)
    for number in range(messages):
        publisher.publish(f"lossy/{number}", f"{number}".encode() * 20, 1 + number % 2)
    for client in subscribers:
        kept = client.receive_publish()
        board.expect(kept.topic == "lossy/kept", f"got {kept.topic} first")
        for number in range(messages):
            message = client.receive_publish()
            board.expect((message.topic, message.payload) == (f"lossy/{number}", f"{number}".encode() * 20),
                         f"got {message.topic} as number {number}")
        client.ping()
    publisher.publish("lossy/kept", b"", 1, retain=True)
    for client in (publisher, *subscribers):
        client.disconnect()


def crowd(one):
    """Everything that has to be sent again at once, to clients with persistent sessions."""
    clients = [connect(one, f"crowd-{number}", clean=False) for number in range(CROWD)]
    for client in clients:
        client.subscribe(("talk", 1))
    for number in range(ROUNDS):
        senders = clients[number:number + SPEAKERS]
        talk.say(senders, f"round {number}")
        talk.hear(clients, senders, f"round {number}")
    for number, client in enumerate(clients):
        client.disconnect()
        connect(one, f"crowd-{number}").disconnect()


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
            few(one, options.messages)
            crowd(one)
            one.settled(timeout=DEADLINE_S)
    print(f"frames: {wires.counts}")
    board.expect(all(count > 0 for count in wires.counts.values()), "the network was not bad")


if __name__ == "__main__":
    main()
