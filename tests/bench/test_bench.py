"""The load generator notices what a broker does wrong, and its figures come in a form that bench.py can use.

The brokers here are Midge, the relay, and one of a few lines that makes a mistake on demand.
"""

import argparse
import dataclasses
import os
import pathlib
import socket
import subprocess
import sys
import tempfile
import threading
import unittest

import bench
import report
import scenarios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import wire  # noqa: E402

OPTIONS = None
DEADLINE_S = 600
SMALL = dict(publishers=1, subscribers=1, subscriptions=1, window=10, messages=50)


class FaultyBroker:
    """Serves one publisher and one subscriber; hands the messages on as `mistake` says."""

    def __init__(self, mistake):
        self.mistake = mistake
        self.listening = socket.create_server(("127.0.0.1", 0))
        self.port = self.listening.getsockname()[1]
        self.subscriber = None
        self.count = 0
        self.held = None
        threading.Thread(target=self._accept, daemon=True).start()

    def _accept(self):
        while True:
            try:
                peer, _ = self.listening.accept()
            except OSError:
                return
            threading.Thread(target=self._serve, args=(peer,), daemon=True).start()

    def _serve(self, peer):
        client = wire.Client.__new__(wire.Client)  # the parser of the test's own client, from the other side
        client.socket, client.buffer, client.timeout = peer, bytearray(), DEADLINE_S
        try:
            while True:
                self._handle(peer, client.receive())
        except (wire.Closed, wire.Timeout, OSError):
            peer.close()

    def _handle(self, peer, packet):
        if packet.type == wire.CONNECT:
            peer.sendall(wire.packet(wire.CONNACK, 0, bytes([0, 5 if self.mistake == "refuse" else 0])))
        elif packet.type == wire.SUBSCRIBE:
            self.subscriber = peer
            peer.sendall(wire.packet(wire.SUBACK, 0, packet.body[:2] + b"\0"))
        elif packet.type == wire.PUBLISH:
            self.count += 1
            self._hand_on(packet.body)

    def _hand_on(self, body):
        if self.count == 20 and self.mistake == "lose":
            return
        if self.count == 20 and self.mistake == "swap":
            self.held = body
            return
        if self.count == 20 and self.mistake == "topic":
            body = body.replace(b"bench/0", b"bench/1", 1)
        elif self.count == 20 and self.mistake == "size":
            body = body + b"x"
        self._send(body)
        if self.count == 20 and self.mistake == "twice":
            self._send(body)
        if self.held is not None:
            self._send(self.held)
            self.held = None

    def _send(self, body):
        self.subscriber.sendall(wire.packet(wire.PUBLISH, 0, bytes(body)))

    def close(self):
        self.listening.close()


class TestLoad(unittest.TestCase):
    def run_against(self, mistake):
        broker = FaultyBroker(mistake)
        self.addCleanup(broker.close)
        command = [str(OPTIONS.build / "tests" / "bench" / "load"), "--port", str(broker.port), "--pid", str(os.getpid())]
        for name, value in SMALL.items():
            command += [f"--{name}", str(value)]
        options = dict(stdin=subprocess.DEVNULL, capture_output=True, text=True, timeout=DEADLINE_S, check=False)
        return subprocess.run(command, **options)

    def test_a_right_broker_passes(self):
        result = self.run_against("none")
        self.assertEqual("", result.stderr)
        self.assertIn("deliveries 50\nlost 0\n", result.stdout)

    def test_each_mistake_is_noticed(self):
        for mistake, words in (
            ("refuse", "refuses client [01]"),  # whichever is answered first
            ("swap", "where 19 was to come"),
            ("twice", "where 20 was to come"),
            ("topic", "came as bench/1/data"),
            ("size", "a payload of 65 bytes"),
        ):
            with self.subTest(mistake=mistake):
                result = self.run_against(mistake)
                self.assertEqual(1, result.returncode, result.stdout)
                self.assertRegex(result.stderr, words)

    def test_a_message_that_is_missing_is_out_of_order_or_lost(self):
        result = self.run_against("lose")
        self.assertIn("got message 20 of publisher 0 where 19 was to come", result.stderr)


class TestBench(unittest.TestCase):
    def test_every_kind_of_scenario_gives_its_figures(self):
        tried = bench.Bench(OPTIONS.build, ["relay", "midge"])
        tried.perf = None
        results = {}
        for name, options in (
            ("1-1-qos0", SMALL),
            ("pairs-qos1", dict(publishers=5, subscribers=5, subscriptions=5, topics=5, window=4, messages=20, qos=1)),
            ("match-100k", dict(publishers=1, subscribers=10, subscriptions=200, topics=200, step=7, window=9, messages=50)),
            ("replay-10k", dict(retained=100)),
            ("paced", dict(publishers=2, subscribers=2, subscriptions=2, topics=2, rate=50, messages=10)),
            ("flooded", dict(publishers=2, subscribers=2, subscriptions=2, topics=2, rate=50, messages=10, flood=1)),
            ("idle-own", dict(idle=100)),
            ("overload-10000", dict(publishers=2, subscribers=2, subscriptions=2, payload=512, messages=500)),
            ("payload-0", dict(publishers=1, subscribers=1, subscriptions=1, payload=0, window=10, messages=50)),
            ("payload-1048576", dict(publishers=1, subscribers=1, subscriptions=1, payload=1048576, window=4, messages=10)),
        ):
            scenario = next(scenario for scenario in scenarios.ALL if scenario.name == name)
            results[name] = tried.measure(dataclasses.replace(scenario, options=options), 1)
            for program, figures in results[name].items():
                self.assertEqual([], figures["errors"], f"{name}, {program}")
                self.assertEqual(0, figures.get("lost", 0), f"{name}, {program}")
        with tempfile.TemporaryDirectory() as folder:
            report.write(pathlib.Path(folder), results)
            text = (pathlib.Path(folder) / "report.md").read_text(encoding="utf-8")
            self.assertIn("1→1 QoS 0", text)
            self.assertTrue((pathlib.Path(folder) / "payload.svg").exists())

    def test_a_program_that_does_not_start_ends_the_run(self):
        tried = bench.Bench(OPTIONS.build, ["midge"])
        tried.commands["midge"] = lambda config, port: ["/bin/false"]
        with self.assertRaises(SystemExit):
            tried.measure(scenarios.SPEED[0], 1)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", type=pathlib.Path, required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
