#!/usr/bin/python3
"""Eclipse Paho MQTT Python (Debian's python3-paho-mqtt) against a broker: paho_python.py HOST:PORT [--small]"""

import os
import queue
import socket
import sys

import paho.mqtt.client as mqtt

import wire

DEADLINE_S = 300
HOST, PORT = wire.parse_address(sys.argv[1])
SMALL = "--small" in sys.argv
REFERENCE = "INTEROP_REFERENCE" in os.environ


class Peer:
    """A client whose network loop runs in a thread of the library."""

    def __init__(self, client_id, clean=True, protocol=mqtt.MQTTv311, will=None):
        self.messages, self.answers, self.lost = queue.Queue(), queue.Queue(), queue.Queue()
        if protocol == mqtt.MQTTv5:
            self.client = mqtt.Client(client_id, protocol=protocol)
        else:
            self.client = mqtt.Client(client_id, clean_session=clean, protocol=protocol)
        self.client.on_message = lambda _c, _u, message: self.messages.put(message)
        self.client.on_connect = lambda _c, _u, flags, code, *_: self.answers.put((flags["session present"], code))
        self.client.on_subscribe = lambda _c, _u, _mid, granted, *_: self.answers.put(granted)
        self.client.on_unsubscribe = lambda *_: self.answers.put(None)
        self.client.on_disconnect = lambda *_: self.lost.put(None)
        if will:
            self.client.will_set(*will)
        self.client.connect(HOST, PORT)
        self.client.loop_start()
        self.present, self.code = self.answers.get(timeout=DEADLINE_S)

    def subscribe(self, topic, qos):
        self.client.subscribe(topic, qos)
        return self.answers.get(timeout=DEADLINE_S)

    def unsubscribe(self, topic):
        self.client.unsubscribe(topic)
        self.answers.get(timeout=DEADLINE_S)

    def publish(self, topic, payload, qos, retain=False):
        self.client.publish(topic, payload, qos, retain).wait_for_publish(DEADLINE_S)

    def expect(self, topic, payload, qos, retain=False):
        got = self.messages.get(timeout=DEADLINE_S)
        found = (got.topic, got.payload, got.qos, bool(got.retain))
        assert found == (topic, payload, qos, retain), f"got {found}, expected {(topic, payload, qos, retain)}"

    def close(self):
        self.client.disconnect()
        self.lost.get(timeout=DEADLINE_S)
        self.client.loop_stop()
        assert self.messages.empty(), f"unexpected message {self.messages.get().topic}"

    def cut(self):
        """Stops the library before it can reconnect, then ends the connection without DISCONNECT."""
        self.client.loop_stop()
        self.client.socket().shutdown(socket.SHUT_RDWR)


def forget(client_id):
    Peer(client_id).close()


def qos():
    peer = Peer("py-qos")
    for wanted in range(3):
        assert peer.subscribe("interop/py", wanted) == (wanted,)
        for sent in range(3):
            peer.publish("interop/py", b"%d" % sent, sent)
            peer.expect("interop/py", b"%d" % sent, min(sent, wanted))
    peer.close()


def retained():
    peer = Peer("py-retained")
    for payload in (b"first", b"second"):
        peer.publish("interop/py/retained", payload, 1, True)
    peer.subscribe("interop/py/+", 1)
    peer.expect("interop/py/retained", b"second", 1, True)
    peer.unsubscribe("interop/py/+")
    peer.publish("interop/py/retained", b"", 1, True)
    peer.subscribe("interop/py/#", 1)
    peer.publish("interop/py", b"marker", 1)
    peer.expect("interop/py", b"marker", 1)
    peer.close()


def sessions():
    other = Peer("py-other")
    forget("py-session")
    peer = Peer("py-session", clean=False)
    assert not peer.present
    peer.subscribe("interop/py/session", 2)
    peer.close()
    for number in range(10):
        other.publish("interop/py/session", b"%d" % number, 1)
    peer = Peer("py-session", clean=False)
    assert peer.present
    for number in range(10):
        peer.expect("interop/py/session", b"%d" % number, 1)
    peer.close()
    forget("py-session")
    other.close()


def will():
    watcher = Peer("py-watcher")
    watcher.subscribe("interop/py/will", 2)
    for level in range(3):
        Peer("py-dying", will=("interop/py/will", b"gone", level, False)).cut()
        watcher.expect("interop/py/will", b"gone", level)
    watcher.close()


def takeover():
    first = Peer("py-twice")
    first.client.loop_stop()  # or else both would take the session from each other for ever
    second = Peer("py-twice")
    while first.client.loop(timeout=1) == mqtt.MQTT_ERR_SUCCESS:
        pass
    second.close()


def large():
    payload = bytes(range(256)) * (4 if SMALL else 4096)
    peer = Peer("py-large")
    peer.subscribe("interop/py/large", 2)
    for level in range(3):
        peer.publish("interop/py/large", payload, level)
        peer.expect("interop/py/large", payload, level)
    peer.close()


def other_versions():
    peer = Peer("py-level3", protocol=mqtt.MQTTv31)
    peer.subscribe("interop/py/old", 2)
    peer.publish("interop/py/old", b"old", 2)
    peer.expect("interop/py/old", b"old", 2)
    peer.close()
    if not REFERENCE:  # Mosquitto speaks MQTT 5
        # Level 5 is answered with return code 1 [MQTT-3.1.2-2], which Paho, expecting MQTT 5's own layout, reports as it can.
        with wire.Client((HOST, PORT)) as raw:
            raw.send(wire.connect_packet("py-level5", level=5))
            answer = raw.receive()
            assert (answer.type, answer.body) == (wire.CONNACK, b"\x00\x01"), answer
            assert raw.expect_close() == []


for case in (qos, retained, sessions, will, takeover, large, other_versions):
    print(f"Paho Python: {case.__name__}", flush=True)
    case()
