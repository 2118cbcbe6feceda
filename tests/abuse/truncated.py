#!/usr/bin/python3
"""Packets that begin and never end: truncated.py HOST:PORT

CONNECT cut at each byte, and after CONNECT every other packet cut at each byte, or promising a megabyte; all connections are
held open. A healthy pair talks on meanwhile, and a client whose own megabyte arrives in pieces gets it through although the
others reserved room before it. With connect_timeout, the broker itself ends those whose CONNECT never came; it must be set to a
few seconds, and so must assembly_timeout.
"""

import random
import struct
import sys

import healthy
import wire

ADDRESS = wire.parse_address(sys.argv[1])
MEGABYTE = 1 << 20
GREEDY = 200


def whole_packets():
    """One of each kind that a client may send."""
    identifier = struct.pack(">H", 7)
    return [
        wire.publish_packet("truncated/topic", b"payload", 0),
        wire.publish_packet("truncated/topic", b"payload", 2, 7),
        wire.packet(wire.PUBACK, 0, identifier),
        wire.packet(wire.PUBREL, 2, identifier),
        wire.subscribe_packet(7, [("truncated/#", 1), ("truncated/+/b", 2)]),
        wire.packet(wire.UNSUBSCRIBE, 2, identifier + wire.text("truncated/#")),
        wire.packet(wire.PINGREQ, 0),
    ]


def cut_connects():
    """CONNECT, each time one byte longer, never whole."""
    will = ("truncated/will", b"never published", 1, False)
    connect = wire.connect_packet("truncated", will=will, username="user", password=b"password")
    clients = []
    for size in range(len(connect)):
        client = wire.Client(ADDRESS)
        client.send(connect[:size])
        clients.append(client)
    return clients


def cut_packets():
    """Each packet, each time one byte longer, behind a good CONNECT."""
    clients = []
    for kind, whole in enumerate(whole_packets()):
        for size in range(1, len(whole)):
            client = wire.connected(ADDRESS, f"truncated-{kind}-{size}")
            client.send(whole[:size])
            clients.append(client)
    return clients


def greedy_clients():
    """The beginning of a large PUBLISH."""
    clients = []
    for number in range(GREEDY):
        client = wire.connected(ADDRESS, f"greedy-{number}")
        client.send(wire.publish_packet("truncated/large", bytes(MEGABYTE), 1, 1)[:100 + number])
        clients.append(client)
    return clients


def large_in_pieces(seed):
    """A megabyte that does come, in pieces of random size, and is delivered whole."""
    chance = random.Random(seed)
    payload = chance.randbytes(MEGABYTE)
    reader = wire.connected(ADDRESS, "large-reader")
    reader.subscribe(("truncated/whole", 1))
    writer = wire.connected(ADDRESS, "large-writer")
    data = wire.publish_packet("truncated/whole", payload, 1, 1)
    while data:
        size = chance.randrange(1, 50000)
        writer.send(data[:size])
        data = data[size:]
    writer.await_answer(wire.PUBACK, 1)
    assert reader.receive_publish().payload == payload, "the payload is damaged"
    reader.disconnect()
    writer.disconnect()


def main():
    pair = healthy.Pair(ADDRESS).start()
    connects = cut_connects()
    others = cut_packets()
    greedy = greedy_clients()
    pair.wait(200)
    seed = random.randrange(1 << 32)
    print(f"seed {seed}", flush=True)
    large_in_pieces(seed)
    for client in connects:
        assert client.expect_close() == [], "something was answered to half a CONNECT"
    for number, client in enumerate(others + greedy):
        if number % 2:
            client.reset()
        else:
            client.cut()
    pair.wait(200)
    pair.stop()


main()
