"""What the tests of the Linux program share: a folder with a configuration, the program with it, and clients."""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import wire  # noqa: E402
from process import DEADLINE_S, Process  # noqa: E402

OPTIONS = argparse.Namespace()  # of the test's command line


def main(*names):
    """Runs the tests of the program that was started, which takes these options."""
    parser = argparse.ArgumentParser()
    for name in names:
        parser.add_argument(f"--{name}", required=True)
    _, rest = parser.parse_known_args(namespace=OPTIONS)
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2, warnings="ignore")


def run(*command, **options):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, **options)


def wait_until(condition):
    """Waits for what no line of the log announces."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)


class Case(unittest.TestCase):
    """A test with a folder of its own, which other users may read, and a configuration in it."""

    always = ("user root",)  # root stays root, or else only a capability would let the test look at its descriptors

    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)
        self.folder.chmod(0o755)
        self.path = self.folder / "midge.conf"

    def write(self, *lines):
        """Writes the configuration."""
        self.path.write_text("".join(f"{line}\n" for line in (*lines, *self.always)), encoding="utf-8")

    def start(self, *lines, listener="listener 0 127.0.0.1", command=(), environment=None, program=None):
        """Midge with this configuration."""
        self.write(*([listener] if listener else []), *lines)
        self.midge = Process([*command, program or OPTIONS.midge, "-c", str(self.path)], environment)
        self.addCleanup(self.midge.kill)
        return self.midge

    def refused(self, *lines, status=None, command=()):
        """The line with which midge refuses to start with this configuration."""
        self.write(*lines)
        result = run(*command, OPTIONS.midge, "-c", self.path)
        self.assertNotEqual(0, result.returncode)
        self.assertIn(status, (None, result.returncode))
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        return result.stderr

    def raw(self, address=None, source=None):
        client = wire.Client(address or self.midge.address(), source=source)
        self.addCleanup(client.socket.close)
        return client

    def client(self, name, **options):
        client = self.raw()
        self.assertEqual(0, client.connect(name, **options)[1])
        return client

    def code(self, name, source=None, **options):
        """The return code of this client's CONNACK."""
        client = self.raw(source=source)
        code = client.connect(name, **options)[1]
        if code:
            self.assertEqual([], client.expect_close())
        return code

    def sys_value(self, client, topic):
        """What $SYS says now."""
        client.subscribe((f"$SYS/broker/{topic}", 0))
        return client.receive_publish().payload

    def start_clock(self):
        """A client that says nothing from now on. The log tells after 1.5 s that it fell silent, and so shows which of the
        broker's times were over earlier, however slow the machine is."""
        return self.client("clock", keepalive=1)

    def wait_log_before_clock(self, pattern):
        line = self.midge.wait_log(pattern)
        self.assertNotRegex("\n".join(self.midge.log[:self.midge.log.index(line)]), "Client clock .* exceeded keep alive")
        return line

    def assert_silent(self, client):
        """No message is on its way: it would come before the second PINGRESP. The first may stand before what follows an
        acknowledgement."""
        client.ping()
        client.ping()
        self.assertEqual(0, len(client.held))
