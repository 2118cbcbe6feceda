"""What the tests of TLS share: a broker with certificates, and clients that speak TLS."""

import argparse
import pathlib
import re
import signal
import socket
import ssl
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
for room in ("interop", "process", "abuse"):
    sys.path.insert(0, str(HERE.parent / room))
import wire  # noqa: E402
from process import DEADLINE_S, Process  # noqa: E402

import pki  # noqa: E402

PSK = "0123456789abcdef0123456789abcdef"
OPTIONS = argparse.Namespace()


class Pki:
    """One set of certificates for a whole run: to make keys takes its time."""

    def __init__(self):
        self.scope = tempfile.TemporaryDirectory()
        self.folder = pathlib.Path(self.scope.name)
        self.authority = pki.Authority(self.folder, "authority")
        self.stranger = pki.Authority(self.folder, "stranger")
        self.rsa = self.authority.issue("rsa", "/CN=localhost", "rsa")
        self.ec = self.authority.issue("ec", "/CN=localhost")
        self.client = self.authority.issue("client", "/C=DE/O=Works, Inc/CN=device 7", "rsa")

    def context(self, client=None, trust=None):
        """What a client believes, and shows."""
        context = ssl.create_default_context(cafile=str((trust or self.authority).path))
        if client:
            context.load_cert_chain(str(client.path), str(client.key))
        return context


class Client(wire.Client):
    """wire.Client inside TLS."""

    def __init__(self, address, context, receive_buffer=None):
        super().__init__(address, receive_buffer)
        try:
            self.socket = context.wrap_socket(self.socket, server_hostname=address[0])
        except OSError:
            self.socket.close()
            raise


class Case(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.pki = Pki()
        cls.addClassCleanup(cls.pki.scope.cleanup)

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.config = self.folder / "midge.conf"
        self.psk_file = self.folder / "psk"
        self.psk_file.write_text(f"# keys\nsensor:{PSK}\nother:00ff\n", encoding="ascii")

    def certificate(self, kind="ec"):
        """The options of a listener with this certificate."""
        made = getattr(self.pki, kind)
        return [f"certfile {made.path}", f"keyfile {made.key}"]

    def mutual(self):
        return [*self.certificate(), f"cafile {self.pki.authority.path}", "require_certificate true"]

    def write(self, *lines, user="root"):
        text = [f"user {user}", "allow_anonymous true", "listener 0 127.0.0.1", "listener 0 127.0.0.1", *lines]
        self.config.write_text("".join(f"{line}\n" for line in text), encoding="utf-8")

    def start(self, *lines, environment=None, user="root"):
        """Midge with a plain listener, whose address is self.plain, and one with these options, self.address."""
        self.write(*lines, user=user)
        self.midge = Process([OPTIONS.midge, "-c", str(self.config)], environment)
        self.addCleanup(self.midge.kill)
        self.midge.wait_log("listening on", 2)
        found = [re.search(r"listening on \S+ port (\d+)", line) for line in self.midge.log]
        ports = [int(one[1]) for one in found if one]
        self.plain, self.address = (("127.0.0.1", port) for port in ports)
        return self.midge

    def connected(self, name, context=None, **options):
        client = Client(self.address, context or self.pki.context(), **options)
        self.addCleanup(client.socket.close)
        self.assertEqual(0, client.connect(name)[1])
        return client

    def exchange(self, one, other, size=10):
        """A message from one to the other, at QoS 1."""
        other.subscribe(("exchange", 1))
        one.publish("exchange", b"x" * size, 1)
        self.assertEqual(b"x" * size, other.receive_publish().payload)

    def tool(self, program, *arguments, text=None):
        """Runs a program of Mosquitto or OpenSSL to its end."""
        return subprocess.run([program, *map(str, arguments)], input=text, capture_output=True, text=True, timeout=DEADLINE_S,
                              errors="replace", check=False)

    def pub(self, *arguments):
        return self.tool("mosquitto_pub", "-h", "localhost", "-p", self.address[1], "-t", "t", "-m", "hello", "-q", "1",
                         *arguments)

    def s_client(self, *arguments, text=""):
        return self.tool("openssl", "s_client", "-connect", f"127.0.0.1:{self.address[1]}", *arguments, text=text)

    def healthy(self):
        """The broker has taken no harm."""
        with wire.connected(self.plain, "healthy") as client:
            client.ping()
        audits = sum("audit: ok" in line for line in self.midge.log)
        self.midge.signal(signal.SIGUSR1)
        self.midge.wait_log("audit: ok", audits + 1)

    def memory(self):
        """Connections with TLS, and bytes in use."""
        count = sum("TLS: " in line for line in self.midge.log)
        self.midge.signal(signal.SIGUSR1)
        line = self.midge.wait_log(r"TLS: \d+ connections", count + 1)
        found = re.search(r"TLS: (\d+) connections, (\d+) of", line)
        return int(found[1]), int(found[2])

    def settled(self, connections=0):
        """Waits until that many connections with TLS are left, and returns the bytes in use."""
        while True:
            count, used = self.memory()
            if count == connections:
                return used


def raw_socket(address):
    return socket.create_connection(address, DEADLINE_S)


def run(program):
    parser = argparse.ArgumentParser()
    parser.add_argument("--midge", required=True)
    parser.add_argument("--no-malloc", help="the library no_malloc of tests/process")
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(module=program, argv=[sys.argv[0], *rest], verbosity=2, warnings="ignore")
