#!/usr/bin/python3
"""Connections on which nothing is ever said: half_open.py HOST:PORT --room N [--count N]

--room is how many connections the configuration allows (max_connections + limit_handshakes). Up to that number all are kept,
and a client that does speak gets in beside them. Beyond it the broker closes at once what it has no room for; those that it
kept it ends after connect_timeout, and then there is room again. The healthy pair notices none of it.
"""

import argparse
import select
import sys

import healthy
import wire


def closed_by_broker(clients):
    """Those whose connection is over."""
    poll = select.poll()
    by_number = {client.socket.fileno(): client for client in clients}
    for number in by_number:
        poll.register(number, select.POLLIN | select.POLLRDHUP)
    return [by_number[number] for number, _ in poll.poll(0)]


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", type=wire.parse_address)
    parser.add_argument("--room", type=int, required=True)
    parser.add_argument("--count", type=int, default=2000)
    options = parser.parse_args()
    pair = healthy.Pair(options.address).start()
    silent = [wire.Client(options.address) for _ in range(options.count)]
    # A connection that the kernel has queued is not yet the broker's; what it answers after them it answers behind them.
    pair.wait(200)
    if options.count + 3 <= options.room:
        late = wire.connected(options.address, "late")
        late.ping()
        late.disconnect()
        assert not closed_by_broker(silent), "the broker closed a connection although there was room"
        for client in silent:
            client.cut()
    else:
        while len(closed_by_broker(silent)) < options.count + 2 - options.room:
            pair.wait(20)
        print(f"{len(closed_by_broker(silent))} of {options.count} closed at once or soon", flush=True)
        for client in silent:
            assert client.expect_close() == [], "something was said to a silent connection"
            client.cut()
        late = wire.connected(options.address, "late")
        late.ping()
        late.disconnect()
    pair.wait(200)
    pair.stop()


sys.exit(main())
