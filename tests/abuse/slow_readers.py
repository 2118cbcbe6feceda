#!/usr/bin/python3
"""Subscribers that never read beside others that do: slow_readers.py HOST:PORT [--small]

A flood is published to readers that take nothing and to one that reads it all. The healthy pair on another topic must not
notice; the reader gets every message of the flood that was acknowledged to its publisher, in order, however the slow ones are
treated; and the broker may end the connections of the slow ones or lose what was for them, but not grow.
"""

import sys
import threading

import healthy
import wire

ADDRESS = wire.parse_address(sys.argv[1])
SMALL = "--small" in sys.argv
SLOW = 5 if SMALL else 30
MESSAGES = 200 if SMALL else 3000
SIZE = 500 if SMALL else 10000


class FloodReader(threading.Thread):
    """Reads the flood; a message may come again after its publisher had to reconnect, never out of order."""

    def __init__(self):
        super().__init__(daemon=True)
        self.client = wire.connected(ADDRESS, "flood-reader")
        self.client.subscribe(("flood", 1))
        self.seen = set()
        self.error = None

    def run(self):
        try:
            while MESSAGES - 1 not in self.seen:
                message = self.client.receive_publish()
                number = int(message.payload.split(b" ", 1)[0])
                assert number in self.seen or not self.seen or number > max(self.seen), f"{number} came late"
                self.seen.add(number)
        except (AssertionError, wire.Closed, wire.Timeout) as error:
            self.error = error


def flood():
    """Publishes at QoS 1, again after a close without acknowledgement. Returns the numbers that were acknowledged."""
    acknowledged, publisher = [], wire.connected(ADDRESS, "flood-publisher")
    for number in range(MESSAGES):
        while True:
            try:
                publisher.publish("flood", b"%d " % number + b"f" * SIZE, 1)
                break
            except wire.Closed:
                publisher = wire.connected(ADDRESS, "flood-publisher")
        acknowledged.append(number)
    publisher.disconnect()
    return acknowledged


def main():
    pair = healthy.Pair(ADDRESS, burst=5 if SMALL else 20).start()
    slow = [wire.connected(ADDRESS, f"slow-{number}", receive_buffer=4096) for number in range(SLOW)]
    for number, client in enumerate(slow):
        client.subscribe(("flood", number % 3))
    reader = FloodReader()
    reader.start()
    acknowledged = flood()
    reader.join()
    if reader.error:
        raise AssertionError(f"the reader of the flood: {reader.error!r}") from reader.error
    missing = set(acknowledged) - reader.seen
    assert not missing, f"{len(missing)} acknowledged messages never came, such as {min(missing)}"
    pair.wait(100)
    pair.stop()
    for number, client in enumerate(slow):
        if number % 2:
            client.reset()
        else:
            client.cut()
    reader.client.disconnect()


main()
