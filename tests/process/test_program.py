"""The Linux program from outside: its command line, its errors, where it listens, and how it ends."""

import os
import pathlib
import re
import signal
import socket
import tempfile
import unittest

import case
import wire
from case import OPTIONS
from process import Process


def run(*arguments):
    return case.run(OPTIONS.midge, *arguments)


def config(test, text):
    """A file that holds this configuration."""
    file = tempfile.NamedTemporaryFile("w", suffix=".conf")
    test.addCleanup(file.close)
    file.write(text)
    file.flush()
    return file.name


class TestCommandLine(unittest.TestCase):
    def assert_fails(self, result, *words):
        """One line on stderr, which has these words."""
        self.assertNotEqual(0, result.returncode)
        self.assertEqual("", result.stdout)
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        for word in words:
            self.assertIn(word, result.stderr)

    def test_what_it_prints(self):
        self.assertRegex(run("--version").stdout, r"^midge version \d+\.\d+\.\d+\n$")
        self.assertIn("usage: midge", run("-h").stdout)
        self.assertIn("max_packet_size", run("--options").stdout)
        for option in ("--version", "-h", "--options"):
            self.assertEqual(0, run(option).returncode)

    def test_bad_options(self):
        for arguments, word in ((["--nonsense"], "--nonsense"), (["-p"], "-p"), (["-p", "x1"], "x1"), (["stray"], "stray")):
            self.assert_fails(run(*arguments), word, "-h" if word != "x1" else "number")
        self.assert_fails(run("-c", "/nonexistent.conf"), "/nonexistent.conf")

    def test_port_that_is_taken(self):
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            port = other.getsockname()[1]
            self.assert_fails(run("-p", str(port)), str(port))

    def test_bad_configuration(self):
        for line in ("max_packet_sise 1000", "max_qos 3", "limit_blocks 1"):
            word = line.split()[0]
            path = config(self, f"allow_anonymous true\n{line}\n")
            self.assert_fails(run("-c", path, "--test-config"), path, "2", word)
            self.assert_fails(run("-c", path), path, "2", word)
        self.assertEqual(0, run("-c", config(self, "max_qos 2\n"), "--test-config").returncode)

    def test_all_lines_that_are_wrong_are_told(self):
        path = config(self, "max_qos 3\nmax_qos 1\nnonsense\nmount_point x\n")
        self.assert_fails(run("-c", path), f"{path}:1:")
        result = run("-c", path, "--test-config")
        self.assertEqual(2, result.returncode)
        self.assertEqual(["1", "3", "4"], re.findall(rf"^midge: {re.escape(path)}:(\d+): ", result.stderr, re.M))

    def test_table_of_memory_adds_up(self):
        result = run("-c", config(self, "max_connections 100\nlimit_blocks 1000\n"), "--memory")
        self.assertEqual(0, result.returncode)
        rows = re.findall(r"^(\S.*?) +(\d+) +(\d+) +(\d+)$", result.stdout, flags=re.M)
        sums = {name: int(size) for name, size in re.findall(r"^(core|total) +(\d+)$", result.stdout, flags=re.M)}
        for name, count, each, size in rows:
            self.assertEqual((int(count) * int(each) + 7) // 8 * 8, int(size), name)
        names = [row[0] for row in rows]
        core = rows[: names.index("sockets")]
        self.assertEqual(sums["core"], sum(int(row[3]) for row in core))
        self.assertEqual(sums["total"], sum(int(row[3]) for row in rows))
        self.assertIn(("blocks", "1000"), [row[:2] for row in rows])


LOOPBACK = {"0100007F", "00000000000000000000000001000000"}


def listeners(pid):
    """Address, port and inode of the sockets that listen in the network of this process."""
    for table in ("tcp", "tcp6"):
        for line in pathlib.Path(f"/proc/{pid}/net/{table}").read_text(encoding="ascii").splitlines()[1:]:
            fields = line.split()
            if fields[3] == "0A":
                address, port = fields[1].split(":")
                yield address, int(port, 16), fields[9]


class TestRunning(unittest.TestCase):
    def start(self, *arguments):
        midge = Process([OPTIONS.midge, *arguments])
        self.addCleanup(midge.kill)
        return midge

    def test_port_option_is_loopback_and_anonymous(self):
        # As root it stays root, or else only a capability would let the test look at its descriptors.
        midge = self.start("-p", "0", "-c", config(self, "user root\n"))
        client = wire.connected(midge.address(), "somebody")
        self.addCleanup(client.socket.close)
        inodes = {link.readlink().name for link in pathlib.Path(f"/proc/{midge.process.pid}/fd").iterdir() if link.is_symlink()}
        listening = {address for address, _, inode in listeners(midge.process.pid) if f"socket:[{inode}]" in inodes}
        self.assertIn("0100007F", listening)
        self.assertLessEqual(listening, LOOPBACK)

    def test_without_options_it_listens_on_loopback_alone(self):
        alone = ("unshare", "--net", *(() if os.geteuid() == 0 else ("--map-current-user",)))
        if case.run(*alone, "true").returncode:
            self.skipTest("this user may not make namespaces")
        midge = Process([*alone, OPTIONS.midge])  # in a network of its own, where port 1883 is free
        self.addCleanup(midge.kill)
        midge.wait_log(r"listening on 127\.0\.0\.1 port 1883$")
        self.assertLessEqual({address for address, port, _ in listeners(midge.process.pid)}, LOOPBACK)
        self.assertEqual({1883}, {port for _, port, _ in listeners(midge.process.pid)})

    def test_signals_end_it_cleanly(self):
        for number in (signal.SIGTERM, signal.SIGINT):
            with self.subTest(signal=number):
                midge = self.start("-p", "0")
                address = midge.address()
                will = ("gone", "x", 1, False)
                clients = [wire.connected(address, f"client-{i}", will=will) for i in range(20)]
                clients.append(wire.Client(address))
                clients[0].subscribe(("#", 1))
                midge.signal(number)
                for client in clients:
                    # Nor any will: that Midge ends says nothing about its clients.
                    self.assertEqual([], client.expect_close())
                    client.cut()
                self.assertEqual(0, midge.end())

    def test_all_that_came_while_it_was_stopped_is_read(self):
        """A read that is cut short, by the peer's end or by urgent bytes, is not the last one."""
        midge = self.start("-p", "0")
        ending = wire.connected(midge.address(), "ending")
        urgent = wire.connected(midge.address(), "urgent")
        self.addCleanup(urgent.cut)
        midge.signal(signal.SIGSTOP)
        ending.send(wire.publish_packet("some/topic", "x", 1, 7))
        ending.socket.shutdown(socket.SHUT_WR)
        urgent.send(wire.packet(wire.PINGREQ, 0))
        urgent.socket.send(b"!", socket.MSG_OOB)
        urgent.send(wire.packet(wire.PINGREQ, 0))
        midge.signal(signal.SIGCONT)
        self.assertEqual([wire.PUBACK], [packet.type for packet in ending.expect_close()])
        ending.cut()
        self.assertEqual([wire.PINGRESP] * 2, [urgent.receive().type for _ in range(2)])

    def test_log_says_where_clients_come_from(self):
        midge = self.start("-c", config(self, "listener 0 127.0.0.1\nlistener 0 ::1\nallow_anonymous true\n"))
        for i, host in enumerate(("127.0.0.1", "::1", "::1")):
            port = int(midge.wait_log(rf"listening on {host} port").rsplit(" ", 1)[1])
            client = wire.connected((host, port), f"from-{i}")
            port = client.socket.getsockname()[1]
            where = f"[{host}]:{port}" if ":" in host else f"{host}:{port}"
            midge.wait_log(re.escape(f"connected from {where} as from-{i}"))
            client.disconnect()
            midge.wait_log(re.escape(f"from-{i} at {where} disconnected"))

    def test_verbose_logs_each_packet(self):
        midge = self.start("-p", "0", "-v")
        client = wire.connected(midge.address(), "talker")
        client.publish("some/topic", "x", 1)
        client.disconnect()
        for words in ("CONNECT", "CONNACK", "PUBLISH.*some/topic", "PUBACK", "DISCONNECT"):
            self.assertIn("talker", midge.wait_log(words))

    def test_limit_that_is_hit_is_named(self):
        midge = self.start("-c", config(self, "listener 0 127.0.0.1\nallow_anonymous true\nmax_packet_size 1000\n"))
        client = wire.connected(midge.address(), "big-talker")
        client.send(wire.publish_packet("some/topic", b"x" * 2000))
        client.expect_close()
        client.cut()
        line = midge.wait_log("max_packet_size")
        self.assertIn("big-talker", line)
        self.assertRegex(line, r"20\d\d")


if __name__ == "__main__":
    case.main("midge")
