"""Shows that midge never allocates after its start, whatever its clients do.

The library no_malloc, loaded into the process, is armed when midge says that it listens; from then on an allocation ends the
process. Clients then do everything that a client can do, in good ways and bad, with every packet logged and $SYS published.
A sample program that does allocate is run the same way and must be caught.
"""

import argparse
import base64
import hashlib
import os
import pathlib
import random
import signal
import struct
import subprocess
import sys
import tempfile
import unittest

from process import Process

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import wire  # noqa: E402

ARM = signal.SIGRTMIN + 5
ALLOCATED_STATUS = 97
ROUNDS = 3

OPTIONS = None


def start_armed(test, *command):
    """Starts a program, and arms no_malloc once it says that it listens."""
    program = Process(command, dict(os.environ, LD_PRELOAD=OPTIONS.library))
    test.addCleanup(program.kill)
    program.wait_log("listening")
    program.signal(ARM)
    program.wait_log("no_malloc: armed after")
    return program


class TestSample(unittest.TestCase):
    def run_sample(self, way):
        sample = start_armed(self, OPTIONS.sample, way)
        return sample.end(), sample.log

    def test_allocations_are_caught(self):
        for way in ("malloc", "calloc", "realloc", "aligned_alloc", "strdup", "fopen"):
            with self.subTest(way=way):
                status, log = self.run_sample(way)
                self.assertEqual(ALLOCATED_STATUS, status)
                self.assertTrue(any("after its start" in line for line in log), log)

    def test_none_is_not_caught(self):
        self.assertEqual(0, self.run_sample("not at all")[0])


def good_clients(address, number):
    """Sessions, subscriptions, every QoS, retained messages, queues, wills: what clients do all day."""
    keeper = wire.connected(address, f"keeper-{number}", clean=False)
    assert keeper.subscribe(("load/#", 2), ("$SYS/broker/uptime", 0), ("+/x/+", 1)) == [2, 0, 1]
    keeper.cut()
    will = (f"load/will/{number}", "gone", 1, True)
    publishers = [wire.connected(address, f"publisher-{number}-{i}", will=will, keepalive=600) for i in range(20)]
    for i, publisher in enumerate(publishers):
        for qos in (0, 1, 2):
            publisher.publish(f"load/{i}/{qos}", b"x" * (10 << (i % 12)), qos, retain=i % 2 == 0)
        publisher.ping()
    keeper = wire.connected(address, f"keeper-{number}", clean=False)
    assert keeper.present == 1
    seen = [keeper.receive_publish() for _ in range(40)]
    assert {message.qos for message in seen} == {1, 2}
    rival = wire.connected(address, f"keeper-{number}", clean=False)
    assert keeper.expect_close() is not None
    packet_id = rival.identifier()
    rival.send(wire.packet(wire.UNSUBSCRIBE, 2, struct.pack(">H", packet_id) + wire.text("load/#")))
    while (answer := rival.receive()).type != wire.UNSUBACK:
        # What the keeper had not finished comes first.
        assert answer.type in (wire.PUBLISH, wire.PUBREL), answer
    for i, publisher in enumerate(publishers):
        [publisher.disconnect, publisher.cut, publisher.reset][i % 3]()
    late = wire.connected(address, f"late-{number}")
    late.subscribe(("load/#", 1))
    late.receive_publish()
    late.reset()
    rival.disconnect()
    wire.forget(address, f"keeper-{number}")


def bad_clients(address, number):
    """Refusals, malformed packets, packets in pieces, and connections that end anywhere."""
    generator = random.Random(number)
    print(f"bad clients with seed {number}")
    for options in ({"level": 5}, {"clean": False}):
        refused = wire.Client(address)
        assert refused.connect("" if "clean" in options else "x", **options)[1] != 0
        refused.expect_close()
    whole = wire.connect_packet("pieces") + wire.subscribe_packet(1, [("load/+", 1)])
    whole += wire.publish_packet("load/y", b"z" * 5000, 2, 7)
    for _ in range(30):
        client = wire.Client(address)
        cut = generator.randrange(1, len(whole))
        client.send(whole[:cut])
        if generator.random() < 0.5:
            client.send(whole[cut:])
            client.receive()
        [client.cut, client.reset][generator.randrange(2)]()
    for _ in range(30):
        client = wire.connected(address, "noise")
        client.send(generator.randbytes(generator.randrange(1, 400)))
        [client.cut, client.reset][generator.randrange(2)]()
    for malformed in (wire.packet(15, 15, b"\xff"), wire.packet(wire.SUBSCRIBE, 0), b"\x30\xff\xff\xff\xff"):
        client = wire.connected(address, "malformed")
        client.send(malformed)
        client.expect_close()
        client.cut()
    crowd = [wire.Client(address) for _ in range(200)]
    for client in crowd:
        client.cut()


def users(address, number):
    """Logins that succeed and that fail, rights that allow and that deny."""
    good = [("alice", "pw"), ("old", "pw")]
    bad = [("alice", "wrong"), ("nobody", "pw"), ("old", "wrong")]
    for name, password in good + bad[number:number + 1]:  # each failure delays the next
        client = wire.Client(address)
        code = client.connect(f"{name}-{number}", username=name, password=password)[1]
        assert (code == 0) == (password == "pw" and name != "nobody"), (name, password, code)
        if code == 0:
            assert client.subscribe(("secret/#", 0), ("#", 1))[0] == (0x80 if name == "alice" else 0)
            client.publish("secret/1", "x", 1)
            client.publish(f"own/{name}-{number}", "x", 1)
        client.cut()
    waiting = wire.Client(address)
    waiting.send(wire.connect_packet("waiting", username="slow", password="pw"))
    waiting.cut()


class TestMidge(unittest.TestCase):
    def files(self, folder):
        """A configuration with all that the gate can do, and its files."""
        folder = pathlib.Path(folder)
        create = ["-c"]
        for name, iterations in (("alice", 100), ("slow", 100000)):
            subprocess.run([OPTIONS.midge, "passwd", *create, "-i", str(iterations), "-b", folder / "users", name, "pw"],
                           check=True)
            create = []
        digest = base64.b64encode(hashlib.sha512(b"pwsalt").digest()).decode()
        with open(folder / "users", "a", encoding="ascii") as file:
            file.write(f"old:$6${base64.b64encode(b'salt').decode()}${digest}\n")
        (folder / "rights").write_text("topic #\ntopic read $SYS/#\nuser alice\ntopic deny secret/#\ntopic #\nuser old\n"
                                       "topic #\npattern own/%c\n", encoding="ascii")
        path = folder / "midge.conf"
        path.write_text(f"listener 0 127.0.0.1\nallow_anonymous true\nsys_interval 1\nlog_timestamp_format %FT%T\n"
                        f"password_file {folder}/users\nacl_file {folder}/rights\nlog_dest topic\nlog_dest stderr\n"
                        f"max_message_rate 100000\nmax_connections_per_address 1000\nauto_id_prefix auto-\nuser root\n"
                        "connect_timeout 10min\n",
                        encoding="ascii")
        return path

    def test_never_allocates_after_start(self):
        with tempfile.TemporaryDirectory() as folder:
            path = self.files(folder)
            midge = start_armed(self, OPTIONS.midge, "-c", str(path), "-v")
            address = midge.address()
            for number in range(ROUNDS):
                good_clients(address, number)
                bad_clients(address, number)
                users(address, number)
                midge.signal(signal.SIGUSR1)
                midge.wait_log("audit: ok", number + 1)
                midge.signal(signal.SIGHUP)
                midge.wait_log("Reload: the configuration was read again", number + 1)
            watcher = wire.connected(address, "watcher")
            watcher.subscribe(("$SYS/broker/uptime", 0))
            # Two of them, so that at least one was published after everything else.
            watcher.receive_publish()
            watcher.receive_publish()
            midge.signal(signal.SIGTERM)
            self.assertEqual(0, midge.end(), "\n".join(midge.log[-40:]))
        print([line for line in midge.log if "no_malloc" in line], f"and {len(midge.log)} lines of log")


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    for option in ("--library", "--sample", "--midge"):
        parser.add_argument(option, required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2, warnings="ignore")
