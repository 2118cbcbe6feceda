#!/usr/bin/python3
"""What Home Assistant's discovery asks of a broker: home_assistant.py HOST:PORT

49 devices retain 1,104 configurations of about 0.5 KB, and one device a single one of 37,843 bytes. Home Assistant, started
anew, subscribes to homeassistant/# and expects all of them, each once, however short its queue is; live messages pass
meanwhile.
"""

import sys
import threading

import wire

ADDRESS = wire.parse_address(sys.argv[1])
DEVICES, ENTITIES, LARGE = 49, 1104, 37843
LIVE = 100


def configuration(number):
    """Topic and payload of one entity."""
    device = number % DEVICES
    topic = f"homeassistant/sensor/device_{device:02}/entity_{number // DEVICES:02}/config"
    head = f'{{"name":"entity {number}","unique_id":"{device:02}_{number:04}","state_topic":"zigbee2mqtt/{device:02}","pad":"'
    return topic, (head + "x" * (430 + number % 101 - len(head) - 2) + '"}').encode()


def all_configurations():
    """Topic to payload, as it has to arrive."""
    expected = dict(configuration(number) for number in range(ENTITIES))
    assert len(expected) == ENTITIES
    expected["homeassistant/device/gateway/config"] = bytes(i * 7 % 251 for i in range(LARGE))
    return expected


def store(publisher, expected, qos):
    """All in one burst, as when everything starts after a power cut: acknowledgements are read behind it."""
    burst, identifiers = bytearray(), []
    for topic, payload in expected.items():
        packet_id = publisher.identifier() if qos else 0
        identifiers.append(packet_id)
        burst += wire.publish_packet(topic, payload, qos, packet_id, retain=True)
    publisher.send(bytes(burst))
    if qos:
        for packet_id in identifiers:
            publisher.await_answer(wire.PUBACK, packet_id)
    publisher.ping()


def replay(expected, stored_qos, wanted_qos):
    """A subscriber that comes late gets everything, once, with the retain flag."""
    reader = wire.connected(ADDRESS, "home-assistant")
    assert reader.subscribe(("homeassistant/#", wanted_qos)) == [wanted_qos]
    missing = dict(expected)
    while missing:
        message = reader.receive_publish()
        assert message.topic in missing, f"{message.topic} came twice, or was never published"
        assert message.payload == missing.pop(message.topic), f"the payload of {message.topic} is damaged"
        assert message.retain and not message.dup, f"{message.topic}: retain {message.retain}, dup {message.dup}"
        assert message.qos == min(stored_qos, wanted_qos), f"{message.topic} came at QoS {message.qos}"
    reader.ping()
    assert not reader.held, f"{reader.held[0].topic} came after everything"
    reader.disconnect()


def replay_beside_live(expected, publisher):
    """While the replay goes on, states change: a live message counts as new, with the retain flag 0, and none is lost."""
    reader = wire.connected(ADDRESS, "home-assistant")
    reader.subscribe(("homeassistant/#", 1), ("state/#", 1))
    changes = threading.Thread(target=lambda: [publisher.publish(f"state/{i % 7}", b"%d" % i, 1) for i in range(LIVE)])
    changes.start()
    missing, live = dict(expected), 0
    while missing or live < LIVE:
        message = reader.receive_publish()
        if message.retain:
            assert message.payload == missing.pop(message.topic), f"the payload of {message.topic} is damaged"
        else:
            assert message.payload == b"%d" % live, f"live message {live} was followed by {message.payload}"
            live += 1
    changes.join()
    reader.disconnect()


def clear(publisher, expected):
    """Removes all, and makes sure that a subscriber gets none any more."""
    store(publisher, dict.fromkeys(expected, b""), 1)
    reader = wire.connected(ADDRESS, "home-assistant")
    reader.subscribe(("homeassistant/#", 0))
    reader.ping()
    assert not reader.held, f"{reader.held[0].topic} is still retained"
    reader.disconnect()


def main():
    expected = all_configurations()
    publisher = wire.connected(ADDRESS, "devices")
    for stored_qos in (0, 1):
        store(publisher, expected, stored_qos)
        for wanted_qos in (0, 1, 2):
            print(f"Home Assistant: stored at QoS {stored_qos}, replayed at QoS {wanted_qos}", flush=True)
            replay(expected, stored_qos, wanted_qos)
    print("Home Assistant: replay beside live messages", flush=True)
    replay_beside_live(expected, publisher)
    clear(publisher, expected)
    publisher.disconnect()


main()
