#!/usr/bin/python3
"""Zigbee2MQTT's bridge topics: large_retained.py HOST:PORT

zigbee2mqtt/bridge/devices is retained and has 226 KB in a large network; it is published anew whenever a device joins.
"""

import sys

import wire

ADDRESS = wire.parse_address(sys.argv[1])
SIZES = {
    "zigbee2mqtt/bridge/devices": 226 * 1024,
    "zigbee2mqtt/bridge/definitions": 98 * 1024,
    "zigbee2mqtt/bridge/info": 25 * 1024,
}
ROUNDS = 10


def payload(size, version):
    """Different in each round, and no two stretches alike."""
    unit = b"".join(b"%d-%d," % (version, number) for number in range(size // 4))
    return unit[:size]


def main():
    watcher = wire.connected(ADDRESS, "frontend")
    watcher.subscribe(("zigbee2mqtt/bridge/#", 1))
    bridge = wire.connected(ADDRESS, "zigbee2mqtt", will=("zigbee2mqtt/bridge/state", b"offline", 1, True))
    for version in range(ROUNDS):
        for topic, size in SIZES.items():
            bridge.publish(topic, payload(size, version), qos=1, retain=True)
            message = watcher.receive_publish()
            assert (message.topic, message.qos, message.retain) == (topic, 1, False), message[:1]
            assert message.payload == payload(size, version), f"{topic} is damaged"
    for qos in range(3):
        late = wire.connected(ADDRESS, "late")
        late.subscribe(("zigbee2mqtt/bridge/#", qos))
        missing = dict(SIZES)
        while missing:
            message = late.receive_publish()
            assert message.payload == payload(missing.pop(message.topic), ROUNDS - 1), f"{message.topic} is damaged"
            assert (message.qos, message.retain) == (min(qos, 1), True)
        late.disconnect()
    bridge.reset()
    message = watcher.receive_publish()
    assert (message.topic, message.payload, message.qos) == ("zigbee2mqtt/bridge/state", b"offline", 1), message
    for topic in [*SIZES, "zigbee2mqtt/bridge/state"]:
        watcher.publish(topic, b"", qos=1, retain=True)
    watcher.disconnect()


main()
