#!/usr/bin/python3
"""Node-RED's MQTT nodes against a broker: node_red.py HOST:PORT FOLDER

FOLDER is where `npm install --prefix FOLDER node-red` put Node-RED. A flow receives by an "mqtt in" node and sends by an "mqtt
out" node, with the defaults of both; the broker node has a birth, a close and a will message.
"""

import json
import os
import signal
import socket
import subprocess
import sys
import tempfile

import wire

ADDRESS = wire.parse_address(sys.argv[1])
PROGRAM = os.path.join(sys.argv[2], "node_modules", "node-red", "red.js")
STATUS = "nodered/status"


def flow():
    """nodered/in/# to nodered/out, with the topic in the payload."""
    broker = {
        "id": "broker", "type": "mqtt-broker", "name": "", "broker": ADDRESS[0], "port": str(ADDRESS[1]), "clientid": "nodered",
        "autoConnect": True, "usetls": False, "protocolVersion": "4", "keepalive": "60", "cleansession": True,
        "birthTopic": STATUS, "birthQos": "1", "birthRetain": "true", "birthPayload": "online",
        "closeTopic": STATUS, "closeQos": "1", "closeRetain": "true", "closePayload": "closed",
        "willTopic": STATUS, "willQos": "1", "willRetain": "true", "willPayload": "lost",
    }
    relay = "msg.payload = msg.topic + ' ' + msg.payload; msg.topic = 'nodered/out'; return msg;"
    return [
        {"id": "tab", "type": "tab", "label": "test"}, broker,
        {"id": "in", "type": "mqtt in", "z": "tab", "topic": "nodered/in/#", "qos": "2", "datatype": "utf8", "broker": "broker",
         "nl": False, "rap": True, "rh": 0, "inputs": 0, "wires": [["relay"]]},
        {"id": "relay", "type": "function", "z": "tab", "func": relay, "outputs": 1, "libs": [], "wires": [["out"]]},
        {"id": "out", "type": "mqtt out", "z": "tab", "topic": "", "qos": "", "retain": "false", "broker": "broker",
         "wires": []},
    ]


def start(folder):
    """A Node-RED with its editor on a free port of the loopback address."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        port = probe.getsockname()[1]
    with open(os.path.join(folder, "flows.json"), "w", encoding="utf-8") as file:
        json.dump(flow(), file)
    with open(os.path.join(folder, "settings.js"), "w", encoding="utf-8") as file:
        file.write(f'module.exports = {{ flowFile: "flows.json", uiPort: {port}, uiHost: "127.0.0.1" }};\n')
    environment = {**os.environ, "NODE_PATH": ""}
    return subprocess.Popen(["node", PROGRAM, "-u", folder], env=environment, stdout=subprocess.DEVNULL)


def expect(client, topic, payload, qos, retain=False):
    got = client.receive_publish()
    found = (got.topic, got.payload, got.qos, got.retain)
    assert found == (topic, payload, qos, retain), f"got {found}, expected {(topic, payload, qos, retain)}"


def relayed(client):
    """What is published at each QoS comes back at it, and many in their order."""
    for qos in range(3):
        client.publish("nodered/in/a", b"%d" % qos, qos)
        expect(client, "nodered/out", b"nodered/in/a %d" % qos, qos)
    for number in range(500):
        client.publish("nodered/in/many", b"%d" % number, 1)
    for number in range(500):
        expect(client, "nodered/out", b"nodered/in/many %d" % number, 1)


def main():
    client = wire.connected(ADDRESS, "watcher")
    client.subscribe((STATUS, 1), ("nodered/out", 2))
    for end, farewell in ((signal.SIGTERM, b"closed"), (signal.SIGKILL, b"lost")):
        with tempfile.TemporaryDirectory() as folder:
            process = start(folder)
            try:
                expect(client, STATUS, b"online", 1)
                client.publish("nodered/in/ready", b"", 1)  # the subscription may come behind the birth message
                relayed_ready(client)
                relayed(client)
            finally:
                process.send_signal(end)
                process.wait()
            expect(client, STATUS, farewell, 1)
    late = wire.connected(ADDRESS, "late")
    late.subscribe((STATUS, 1))
    expect(late, STATUS, b"lost", 1, True)
    late.disconnect()
    client.publish(STATUS, b"", 1, retain=True)
    expect(client, STATUS, b"", 1)
    client.disconnect()


def relayed_ready(client):
    """Publishes until the first comes back, and takes those that follow it."""
    sent = 1
    while True:
        try:
            got = client.receive_publish(timeout=1)
            break
        except wire.Timeout:
            client.publish("nodered/in/ready", b"", 1)
            sent += 1
    assert got.payload == b"nodered/in/ready ", got
    client.publish("nodered/in/end", b"", 1)
    while client.receive_publish().payload != b"nodered/in/end ":
        sent -= 1
        assert sent > 0, "more came back than was sent"


main()
