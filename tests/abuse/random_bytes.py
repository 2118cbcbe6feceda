#!/usr/bin/python3
"""Bytes that make no sense, in whole and in part: random_bytes.py HOST:PORT [--seed N] [--rounds N] [--small]

Each connection sends noise, or a sequence of good packets in which bytes were changed, added or left out, cut into pieces at
random, and ends with FIN or RST. A healthy pair talks on meanwhile. Clean-up: the retained messages that came of it are
removed; sessions that came of it have to expire (persistent_client_expiration 1s), and what waits must do so for less time than
the clean-up (overflow_wait 1s). No byte is '$', for a retained message there would be hidden from the clean-up by
[MQTT-4.7.2-1].
"""

import argparse
import random
import struct
import sys

import healthy
import wire


SILENCE_S = 4  # longer than overflow_wait, after which nothing waits any more


def good_packets(chance):
    """A plausible life of a client."""
    name = f"fuzz-{chance.randrange(8)}"
    topic = "fuzz/" + "/".join(chance.choice(["a", "b", "", "long level"]) for _ in range(chance.randrange(4)))
    will = chance.choice([None, (topic, b"will", chance.randrange(3), chance.random() < 0.5)])
    packets = [wire.connect_packet(name, clean=chance.random() < 0.5, keepalive=chance.choice([0, 60]), will=will,
                                   level=chance.choice([3, 4]))]
    for number in range(1, chance.randrange(2, 12)):
        identifier = struct.pack(">H", number)
        packets.append(chance.choice([
            lambda: wire.publish_packet(topic, chance.randbytes(chance.choice([0, 1, 300, 5000])), chance.randrange(3), number,
                                        chance.random() < 0.3),
            lambda: wire.subscribe_packet(number, [(chance.choice([topic, "fuzz/#", "+/+", "#"]), chance.randrange(3))]),
            lambda: wire.packet(wire.UNSUBSCRIBE, 2, identifier + wire.text(topic)),
            lambda: wire.packet(wire.PINGREQ, 0),
            lambda: wire.packet(wire.PUBREL, 2, identifier),
            lambda: wire.packet(chance.choice([wire.PUBACK, wire.PUBREC, wire.PUBCOMP]), 0, identifier),
        ])())
    return packets


def damage(chance, data):
    """Changes, inserts or removes a few bytes."""
    data = bytearray(data)
    for _ in range(chance.randrange(4)):
        place = chance.randrange(len(data))
        kind = chance.randrange(4)
        if kind == 0:
            data[place] ^= 1 << chance.randrange(8)
        elif kind == 1:
            data[place] = chance.randrange(256)
        elif kind == 2:
            data[place:place] = chance.randbytes(chance.randrange(1, 5))
        elif len(data) > 8:
            del data[place:place + chance.randrange(1, 5)]
    return data


def bytes_to_send(chance):
    """Noise, noise behind a CONNECT, or damaged packets."""
    kind = chance.randrange(6)
    if kind == 0:
        data = chance.randbytes(chance.randrange(1, 2000))
    elif kind == 1:
        data = wire.connect_packet("fuzz-noise") + chance.randbytes(chance.randrange(1, 2000))
    elif kind < 4:
        packets = good_packets(chance)
        data = packets[0] + damage(chance, b"".join(packets))[len(packets[0]):]
    else:
        data = damage(chance, b"".join(good_packets(chance)))
    return bytes(data).replace(b"$", b"%")


def attack(chance, address):
    """One connection from its start to its end."""
    data = bytes_to_send(chance)
    client = wire.Client(address)
    try:
        while data:
            size = min(len(data), chance.choice([1, 2, 7, 100, 100000]))
            client.send(data[:size])
            data = data[size:]
        if chance.random() < 0.3:
            client.receive(timeout=0.02)
    except (wire.Closed, wire.Timeout):
        pass
    if chance.random() < 0.5:
        client.reset()
    else:
        client.cut()


def is_silent(client):
    """Nothing has come for long, and nothing comes before the answers to two questions: so it was not the broker that stood
    still."""
    try:
        client.held.append(client.receive_publish(timeout=SILENCE_S))
    except wire.Timeout:
        client.ping()
        client.ping()
    return not client.held


def retained_topics(address):
    """What is retained, to the end as far as silence tells it: what is missed here, the pools will show."""
    client = wire.connected(address, "clean-up")
    client.subscribe(("#", 0))
    topics = []
    while not is_silent(client):
        message = client.receive_publish()
        if message.retain:
            topics.append(message.topic)
    client.disconnect()
    return topics


def clear_retained(address):
    """Removes whatever was retained, until nothing is left: a PUBLISH or a will that still waits for room may come late."""
    while topics := retained_topics(address):
        client = wire.connected(address, "clean-up")
        for topic in topics:
            client.publish(topic, b"", retain=True)
        client.ping()
        client.disconnect()
        print(f"{len(topics)} retained messages removed", flush=True)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("address", type=wire.parse_address)
    parser.add_argument("--seed", type=int, default=random.randrange(1 << 32))
    parser.add_argument("--rounds", type=int, default=3000)
    parser.add_argument("--small", action="store_true")
    options = parser.parse_args()
    print(f"--seed {options.seed}", flush=True)
    chance = random.Random(options.seed)
    pair = healthy.Pair(options.address, burst=5 if options.small else 20).start()
    for _ in range(options.rounds):
        attack(chance, options.address)
    pair.wait(20)
    pair.stop()
    clear_retained(options.address)


sys.exit(main())
