#!/usr/bin/python3
"""Mosquitto's command line clients against a broker: mosquitto_clients.py HOST:PORT [--small]

mosquitto_sub is started, and before anything is published to it, a marker is published until it prints one: only then its
subscription is known to be in place.
"""

import os
import queue
import signal
import subprocess
import sys
import threading

import wire

DEADLINE_S = 300
HOST, PORT = wire.parse_address(sys.argv[1])
SMALL = "--small" in sys.argv
REFERENCE = "INTEROP_REFERENCE" in os.environ
WHERE = ["-h", HOST, "-p", str(PORT)]
FORMAT = ["-F", "%t %q %r %p"]


def run(*command, text=None):
    """Runs a client to its end and returns it."""
    return subprocess.run(command, input=text, capture_output=True, text=True, timeout=DEADLINE_S, check=False)


def pub(topic, payload, *options):
    """Publishes; payload None sends an empty one."""
    message = ["-n"] if payload is None else ["-m", payload]
    done = run("mosquitto_pub", *WHERE, "-t", topic, *message, *options)
    assert done.returncode == 0, f"mosquitto_pub ended with {done.returncode}: {done.stderr}"


class Sub:
    """A mosquitto_sub that is running, and the lines that it prints."""

    def __init__(self, *options, ready=None):
        self.process = subprocess.Popen(["mosquitto_sub", *WHERE, *FORMAT, *options], stdout=subprocess.PIPE, text=True)
        self.lines = queue.Queue()
        threading.Thread(target=self._read, daemon=True).start()
        while ready:
            pub(ready, "ready")
            try:
                line = self.lines.get(timeout=0.2)
            except queue.Empty:
                continue
            assert line == f"{ready} 0 0 ready", line
            break
        while ready:  # more than one may have been on its way
            pub(ready, "end")
            while True:
                line = self.lines.get(timeout=DEADLINE_S)
                if line == f"{ready} 0 0 end":
                    return
                assert line == f"{ready} 0 0 ready", line

    def _read(self):
        for line in self.process.stdout:
            self.lines.put(line.rstrip("\n"))

    def expect(self, *lines):
        for line in lines:
            got = self.lines.get(timeout=DEADLINE_S)
            assert got == line, f"mosquitto_sub printed {got!r}, expected {line!r}"

    def stop(self, how=signal.SIGINT):
        """SIGINT lets it send DISCONNECT, SIGKILL does not."""
        self.process.send_signal(how)
        self.process.wait(DEADLINE_S)
        assert self.lines.empty(), f"unexpected: {self.lines.get()}"


def versions_and_qos():
    for version in ("mqttv311", "mqttv31"):
        for wanted in range(3):
            sub = Sub("-V", version, "-q", str(wanted), "-t", "interop/m/#", ready="interop/m/ready")
            for sent in range(3):
                pub("interop/m/a", f"{sent} to {wanted}", "-q", str(sent), "-V", version)
                sub.expect(f"interop/m/a {min(sent, wanted)} 0 {sent} to {wanted}")
            sub.stop()


def retained():
    pub("interop/m/kept", "old", "-r", "-q", "1")
    pub("interop/m/kept", "new", "-r", "-q", "1")
    sub = Sub("-q", "1", "-t", "interop/m/kept", "-C", "1")
    sub.expect("interop/m/kept 1 1 new")
    assert sub.process.wait(DEADLINE_S) == 0
    pub("interop/m/kept", None, "-r", "-q", "1")
    sub = Sub("-q", "1", "-t", "interop/m/+", ready="interop/m/ready")
    sub.stop()


def wills():
    watcher = Sub("-q", "2", "-t", "interop/m/will", "-t", "interop/m/ready", ready="interop/m/ready")
    for qos in ("0", "1", "2"):
        options = ["-t", "interop/m/none", "--will-topic", "interop/m/will", "--will-payload", "gone", "--will-qos", qos]
        polite = Sub("-t", "interop/m/polite", *options, ready="interop/m/polite")
        polite.stop()
        dying = Sub("-t", "interop/m/dying", *options, "--will-retain", ready="interop/m/dying")
        dying.stop(signal.SIGKILL)
        watcher.expect(f"interop/m/will {qos} 0 gone")
        late = Sub("-q", "2", "-t", "interop/m/will", "-C", "1")
        late.expect(f"interop/m/will {qos} 1 gone")
        assert late.process.wait(DEADLINE_S) == 0
        pub("interop/m/will", None, "-r", "-q", "1")
        watcher.expect("interop/m/will 1 0 ")
    watcher.stop()


def sessions():
    wire.forget((HOST, PORT), "m-session")
    session = ["-c", "-i", "m-session", "-q", "1", "-t", "interop/m/session"]
    Sub(*session, "-t", "interop/m/ready", ready="interop/m/ready").stop()
    for number in range(5):
        pub("interop/m/session", str(number), "-q", "1")
    sub = Sub(*session, "-C", "5")
    sub.expect(*(f"interop/m/session 1 0 {number}" for number in range(5)))
    assert sub.process.wait(DEADLINE_S) == 0
    wire.forget((HOST, PORT), "m-session")


def lines():
    """One connection, many messages (mosquitto_pub -l). A board has few identifiers for QoS 2, so that fewer than the usual 20
    messages may be on their way at once."""
    count = 100 if SMALL else 2000
    window = ["-M", "4"] if SMALL else []
    for qos in ("1", "2"):
        sub = Sub("-q", qos, "-t", "interop/m/lines", "-t", "interop/m/ready", ready="interop/m/ready")
        text = "".join(f"{i}\n" for i in range(count))
        done = run("mosquitto_pub", *WHERE, *window, "-t", "interop/m/lines", "-q", qos, "-l", text=text)
        assert done.returncode == 0, done.stderr
        sub.expect(*(f"interop/m/lines {qos} 0 {i}" for i in range(count)))
        sub.stop()


def version_5():
    """Told 1, "unacceptable protocol version", and ended; the client neither hangs nor tries for ever."""
    if REFERENCE:
        return  # Mosquitto speaks MQTT 5
    done = run("mosquitto_pub", *WHERE, "-V", "mqttv5", "-t", "interop/m/five", "-m", "five", "-q", "1", "-d")
    print(done.stdout + done.stderr)
    assert done.returncode != 0, "MQTT 5 was accepted"
    with wire.Client((HOST, PORT)) as raw:
        raw.send(wire.connect_packet("five", level=5))
        answer = raw.receive()
        assert (answer.type, answer.body) == (wire.CONNACK, b"\x00\x01"), answer
        assert raw.expect_close() == []


for case in (versions_and_qos, retained, wills, sessions, lines, version_5):
    print(f"mosquitto_pub, mosquitto_sub: {case.__name__}", flush=True)
    case()
