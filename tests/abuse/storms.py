#!/usr/bin/python3
"""Connections that come and go faster than they make sense: storms.py HOST:PORT [--seed N] [--count N]

Connection storm: connect, sometimes CONNECT, sometimes SUBSCRIBE and PUBLISH, and end with FIN or RST, often before the answer.
Takeover storm: many connections with the same client identifier at once, each taking the session from the one before; half of
them end by RST. Each has a will, and the will of each that saw its CONNACK is published exactly once; one that was itself taken
over before its CONNACK could leave sees a close instead, and its will is published at most once.
"""

import argparse
import random
import sys
import threading

import healthy
import wire

STORMERS = 8


def end(client, chance):
    """FIN or RST."""
    if chance.random() < 0.5:
        client.reset()
    else:
        client.cut()


def run_threads(work, count):
    """Runs work(index, chance) in threads; raises what one of them raised."""
    errors = []

    def guarded(index):
        try:
            work(index)
        except (AssertionError, OSError, wire.Closed, wire.Timeout) as error:
            errors.append(error)

    threads = [threading.Thread(target=guarded, args=(index,)) for index in range(count)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    if errors:
        raise errors[0]


def connection_storm(options, seed):
    """Nothing is expected of these connections but that they leave nothing behind."""

    def storm(index):
        chance = random.Random(seed + index)
        for number in range(options.count // STORMERS):
            client = wire.Client(options.address)
            data = bytearray()
            if chance.random() < 0.9:
                data += wire.connect_packet(f"storm-{index}-{number % 5}", keepalive=60)
            if data and chance.random() < 0.5:
                data += wire.subscribe_packet(1, [("storm/#", chance.randrange(3)), (f"storm/{index}", 1)])
            if data and chance.random() < 0.5:
                data += wire.publish_packet(f"storm/{index}", bytes(chance.randrange(2000)), 2, 2)
            try:
                client.send(bytes(data))
                if chance.random() < 0.3:
                    client.receive(timeout=1)
            except (wire.Closed, wire.Timeout):
                pass
            end(client, chance)

    run_threads(storm, STORMERS)


def takeover_storm(options, seed):
    """Several threads fight for one session."""
    accepted, overtaken, lock = set(), set(), threading.Lock()
    observer = wire.connected(options.address, "will-observer")
    observer.subscribe(("takeover/wills", 1))

    def fight(index):
        chance = random.Random(seed + index)
        for number in range(options.count // STORMERS // 4):
            name = b"%d-%d" % (index, number)
            client = wire.Client(options.address)
            try:
                _, code = client.connect("contested", clean=False, will=("takeover/wills", name, 1, False))
            except wire.Closed:
                with lock:
                    overtaken.add(name)
                client.cut()
                continue
            assert code == 0, f"CONNECT was answered with {code}"
            with lock:
                accepted.add(name)
            if chance.random() < 0.5:
                try:
                    client.subscribe(("takeover/+", 1))
                except wire.Closed:
                    pass
            end(client, chance)

    run_threads(fight, STORMERS)
    assert accepted, "nobody was accepted"
    seen = set()
    while not accepted <= seen:
        payload = observer.receive_publish().payload
        assert payload in accepted | overtaken, f"{payload} is no will"
        assert payload not in seen, f"the will of {payload} came twice"
        seen.add(payload)
    observer.disconnect()
    print(f"{len(accepted)} accepted, {len(overtaken)} taken over before they knew, {len(seen)} wills", flush=True)
    wire.forget(options.address, "contested")


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", type=wire.parse_address)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--count", type=int, default=4000)
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    pair = healthy.Pair(options.address).start()
    connection_storm(options, options.seed)
    takeover_storm(options, options.seed)
    pair.wait(20)
    pair.stop()


sys.exit(main())
