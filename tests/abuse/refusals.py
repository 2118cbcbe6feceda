#!/usr/bin/python3
"""What a broker does not accept, it says so, and again and again without a leak: refusals.py HOST:PORT --clients N

--clients is max_connections of the configuration: one client more is told 3, "server unavailable"; but who is connected already
may come back on a new connection, and whoever leaves makes room.
"""

import argparse
import sys

import wire

REPEAT = 200


def refused(address, code, packet):
    """CONNACK with this code and nothing else, then the broker's close [MQTT-3.2.2-5]."""
    with wire.Client(address) as client:
        client.send(packet)
        answers = client.expect_close()
    assert [(a.type, a.body) for a in answers] == [(wire.CONNACK, bytes([0, code]))], f"expected CONNACK {code}, got {answers}"


def closed(address, packet):
    """A close without an answer."""
    with wire.Client(address) as client:
        client.send(packet)
        answers = client.expect_close()
    assert not answers, f"expected a close, got {answers}"


def refused_and_closed(address):
    """Each refusal that does not depend on how many there are."""
    for _ in range(REPEAT):
        for level in (0, 1, 2, 5, 6, 127):
            refused(address, 1, wire.connect_packet("level", level=level))
        refused(address, 2, wire.connect_packet("", clean=False))
        closed(address, wire.packet(wire.CONNECT, 0, wire.text("MQTX") + wire.connect_packet("name")[8:]))
        closed(address, wire.connect_packet("flags").replace(b"MQTT\x04\x02", b"MQTT\x04\x03"))
        closed(address, wire.packet(wire.PINGREQ, 0))
        closed(address, wire.publish_packet("too/early", b"", 1, 1))


def one_too_many(address, count):
    """The limit of clients."""
    clients = [wire.connected(address, f"seat-{number}") for number in range(count)]
    for number in range(REPEAT):
        refused(address, 3, wire.connect_packet(f"late-{number}"))
    for number in range(count):  # who has a seat may change to another connection
        again = wire.connected(address, f"seat-{number}")
        assert clients[number].expect_close() == []
        clients[number] = again
    clients.pop().disconnect()
    clients.append(wire.connected(address, "late"))
    refused(address, 3, wire.connect_packet("later"))
    for client in clients:
        client.ping()
        client.disconnect()


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", type=wire.parse_address)
    parser.add_argument("--clients", type=int, required=True)
    options = parser.parse_args()
    refused_and_closed(options.address)
    one_too_many(options.address, options.clients)


sys.exit(main())
