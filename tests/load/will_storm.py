#!/usr/bin/python3
"""Many clients vanish at once: will_storm.py HOST:PORT [--small]

Each has a will; one observer receives each of them exactly once, at its QoS. A quarter ends with FIN, a quarter with RST, a
quarter with a broken packet, and a quarter just falls silent, until 1.5 times its keep alive is over.
"""

import sys

import wire

ADDRESS = wire.parse_address(sys.argv[1])
WAYS, SILENT = 4, 3
CLIENTS = 12 if "--small" in sys.argv else 500


def vanish(number, client):
    """One of the ways to go without DISCONNECT; to fall silent, nothing has to be done."""
    if number % WAYS == 0:
        client.cut()
    elif number % WAYS == 1:
        client.reset()
    elif number % WAYS == 2:
        client.send(wire.packet(wire.SUBSCRIBE, 0))  # reserved flags: [MQTT-3.8.1-1]


def main():
    observer = wire.connected(ADDRESS, "observer")
    observer.subscribe(("wills/+", 2))
    clients = []
    for number in range(CLIENTS):
        will = (f"wills/{number}", b"client %d" % number, number // WAYS % 3, False)
        clients.append(wire.connected(ADDRESS, f"storm-{number}", will=will, keepalive=1 if number % WAYS == SILENT else 60))
    for number, client in enumerate(clients):
        vanish(number, client)
    missing = set(range(CLIENTS))
    while missing:
        message = observer.receive_publish()
        number = int(message.topic.split("/")[1])
        assert number in missing, f"the will of client {number} came twice"
        missing.remove(number)
        assert message.payload == b"client %d" % number and message.qos == number // WAYS % 3, message
    observer.ping()
    assert not observer.held, f"an extra will: {observer.held[0]}"
    observer.disconnect()
    for client in clients[2::WAYS] + clients[SILENT::WAYS]:
        assert client.expect_close() == [], "something was said before the close"


main()
