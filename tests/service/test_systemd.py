"""The service under a real systemd, in a system of its own: the package is installed there, and the unit does what it says.
Takes root."""

import os
import pathlib
import re
import sys
import time
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
import case  # noqa: E402
import system  # noqa: E402
import wire  # noqa: E402
from case import OPTIONS  # noqa: E402
from process import DEADLINE_S  # noqa: E402

ADDRESS = ("127.0.0.1", 1883)
CONFIG = "/etc/midge/conf.d/test.conf"


@unittest.skipUnless(os.geteuid() == 0, "needs root, to make a system with a systemd of its own")
class TestSystemd(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = system.System(OPTIONS.build)
        holder = cls.system.boot()
        cls.addClassCleanup(holder.wait)
        cls.addClassCleanup(holder.kill)
        cls.system.install()  # which starts the service

    def setUp(self):
        self.system.path(CONFIG).write_text("", encoding="ascii")
        self.system.run("systemctl", "reset-failed", "midge")
        self.system.run("systemctl", "restart", "midge")
        self.addCleanup(self.system.run, "systemctl", "stop", "midge")

    def show(self, name):
        return self.system.run("systemctl", "show", "--property", name, "--value", "midge").strip()

    def wait_show(self, name, wanted):
        deadline = time.monotonic() + DEADLINE_S
        while not re.fullmatch(wanted, self.show(name)):
            self.assertLess(time.monotonic(), deadline, self.system.run("journalctl", "-u", "midge", "-n", "20"))
            time.sleep(0.1)

    def log(self):
        return self.system.run("journalctl", "--unit", "midge", "--output", "cat")

    def fails(self, *command):
        with self.assertRaises(AssertionError):
            self.system.run(*command)

    def client(self, name="somebody", **options):
        client = wire.Client(ADDRESS)
        self.addCleanup(client.socket.close)
        self.assertEqual(0, client.connect(name, **options)[1])
        return client

    def test_confined(self):
        """systemd waits until it serves; then it is nobody who could do harm."""
        self.assertEqual(("active", "running", "notify"), tuple(map(self.show, ("ActiveState", "SubState", "Type"))))
        self.client().ping()
        status = self.system.run("cat", f"/proc/{self.show('MainPID')}/status")
        values = dict(re.findall(r"^(\w+):\s*(.*?)\s*$", status, flags=re.M))
        user = self.system.run("id", "--user", "midge").strip()
        self.assertEqual([user] * 4, values["Uid"].split())
        self.assertEqual(("1", "2"), (values["NoNewPrivs"], values["Seccomp"]))
        self.assertEqual({0}, {int(values[name], 16) for name in ("CapInh", "CapPrm", "CapEff", "CapBnd", "CapAmb")})
        self.assertIn("listening on 127.0.0.1 port 1883", self.log())

    def test_reload(self):
        """Users are read, and their passwords hashed; the clients that are there stay."""
        users = "/etc/midge/users"
        client, process = self.client(), self.show("MainPID")
        self.system.run("midge", "passwd", "-c", "-b", users, "alice", "pw")
        self.system.run("chown", "root:midge", users)
        self.system.run("chmod", "640", users)
        self.system.path(CONFIG).write_text(f"password_file {users}\nallow_anonymous true\n", encoding="ascii")
        self.system.run("systemctl", "reload", "midge")
        self.wait_show("ActiveState", "active")
        self.client("alice", username="alice", password="pw")
        client.ping()
        self.assertEqual(process, self.show("MainPID"))
        self.assertIn("Reload: the configuration was read again", self.log())

    def test_where_it_may_write(self):
        log = "/var/log/midge/midge.log"
        self.system.path(CONFIG).write_text(f"log_dest file {log}\n", encoding="ascii")
        self.system.run("systemctl", "restart", "midge")
        self.assertIn("listening on", self.system.path(log).read_text(encoding="ascii"))
        self.system.path("/etc/midge").chmod(0o777)  # what its user could write, the unit still does not let it write
        self.system.path(CONFIG).write_text("log_dest file /etc/midge/midge.log\n", encoding="ascii")
        self.fails("systemctl", "restart", "midge")
        self.assertIn("cannot write the log file /etc/midge/midge.log: Read-only file system", self.log())

    def test_wrong_configuration(self):
        """Another start would not help, so there is none."""
        self.system.path(CONFIG).write_text("max_qoss 1\n", encoding="ascii")
        self.fails("systemctl", "restart", "midge")
        self.assertEqual(("failed", "exit-code", "2", "0"),
                         tuple(map(self.show, ("ActiveState", "Result", "ExecMainStatus", "NRestarts"))))
        self.assertIn(f"{CONFIG}:1: option \"max_qoss\"", self.log())

    def test_it_comes_again(self):
        """After a crash, and after its loop has hung for longer than the watchdog waits."""
        folder = self.system.path("/run/systemd/system/midge.service.d")
        folder.mkdir(parents=True)
        (folder / "short.conf").write_text("[Service]\nWatchdogSec=20s\nRestartSec=100ms\n", encoding="ascii")
        self.system.run("systemctl", "daemon-reload")
        self.system.run("systemctl", "restart", "midge")
        for restarts, signal in (("1", "SEGV"), ("2", "STOP")):
            self.client().ping()
            self.system.run("systemctl", "kill", f"--signal={signal}", "midge")
            self.wait_show("NRestarts", restarts)
            self.wait_show("SubState", "running")
        self.client().ping()

    def test_end(self):
        client = self.client()
        self.system.run("systemctl", "stop", "midge")
        self.assertEqual([], client.expect_close())
        self.assertEqual(("inactive", "success"), (self.show("ActiveState"), self.show("Result")))
        self.assertIn("midge ends: 1 connections closed", self.log())


if __name__ == "__main__":
    system.enter()
    case.main("build")
