"""The systemd unit: systemd accepts it, it leaves little to an intruder, and Midge can do all of its work under it."""

import os
import pathlib
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import unittest

HERE = pathlib.Path(__file__).resolve().parent
sys.path[:0] = [str(HERE), str(HERE.parent / "process")]
import case  # noqa: E402
import confine  # noqa: E402
from case import OPTIONS  # noqa: E402

EXPOSURE_MAX = 15  # tenths, of 100; a unit without any protection has 96
DEADLINE_S = 600
# Who runs the service is not root.
SERVICE_USER = ("setpriv", "--reuid=nobody", "--regid=nogroup", "--clear-groups") if os.geteuid() == 0 else ()


def run(*command, **options):
    return subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                          timeout=DEADLINE_S, check=False, **options)


class TestUnit(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        """Installs it, since only that names the program and its configuration."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.prefix = pathlib.Path(folder.name)
        cls.prefix.chmod(0o755)
        subprocess.run(["cmake", "--install", OPTIONS.build, "--prefix", folder.name], capture_output=True, check=True)
        cls.unit = cls.prefix / "lib/systemd/system/midge.service"
        cls.settings = confine.settings(cls.unit)

    def test_systemd_accepts_it(self):
        result = run("systemd-analyze", "verify", "--man=no", self.unit)
        self.assertEqual((0, ""), (result.returncode, result.stdout + result.stderr))
        wrong = self.prefix / "wrong.service"
        wrong.write_text(self.unit.read_text(encoding="utf-8").replace("ProtectHome=", "ProtectHouse="), encoding="utf-8")
        self.assertIn("ProtectHouse", run("systemd-analyze", "verify", "--man=no", wrong).stderr)

    def test_exposure(self):
        result = run("systemd-analyze", "security", "--no-pager", "--offline=true", f"--threshold={EXPOSURE_MAX}", self.unit)
        self.assertEqual(0, result.returncode, result.stdout)
        print(result.stdout.splitlines()[-1])

    def test_what_it_says_is_what_midge_needs(self):
        program, _, path = self.settings["ExecStart"][0].split()
        self.assertEqual(0, run(*SERVICE_USER, program, "-c", path, "--test-config").returncode)
        wrong = self.prefix / "wrong.conf"
        wrong.write_text("max_qos 7\n", encoding="utf-8")
        self.assertEqual(self.settings["RestartPreventExitStatus"], [str(run(*SERVICE_USER, program, "-c", wrong).returncode)])
        sockets = re.search(r"^sockets +(\d+)", run(*SERVICE_USER, program, "-c", path, "--memory").stdout, flags=re.M)
        self.assertLess(int(sockets.group(1)) + 64, int(self.settings["LimitNOFILE"][0]))


class TestConfined(unittest.TestCase):
    """The tests of the program pass while whoever makes a system call that the unit forbids is killed."""

    @classmethod
    def setUpClass(cls):
        """Copies what is needed to where the service's user, which root cannot be, gets at it."""
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        cls.folder = pathlib.Path(folder.name)
        cls.folder.chmod(0o755)
        for room in ("abuse", "interop", "process", "service", "tls"):
            (cls.folder / room).mkdir()
            for path in (HERE.parent / room).glob("*.py"):
                shutil.copy(path, cls.folder / room)
        shutil.copy(pathlib.Path(OPTIONS.build) / "midge", cls.folder / "program")
        confine.write_filter(HERE.parents[1] / "port/linux/service/midge.service.in", cls.folder / "filter")
        cls.confined = [sys.executable, cls.folder / "service/confine.py", cls.folder / "filter"]
        cls.program = cls.folder / "midge"
        command = " ".join(f"'{part}'" for part in (*cls.confined, cls.folder / "program"))
        cls.program.write_text(f'#!/bin/sh\nexec {command} "$@"\n', encoding="utf-8")
        cls.program.chmod(0o755)

    def test_the_filter_bites(self):
        """So that what passes below means something."""
        for code, status in (
            ("pass", 0),
            ("os.setuid(os.getuid())", -signal.SIGSYS),
            ("os.chown('/dev/null', -1, -1)", -signal.SIGSYS),
            ("os.sched_setaffinity(0, os.sched_getaffinity(0))", -signal.SIGSYS),
            ("ctypes.CDLL(None).ptrace(0, 0, 0, 0)", -signal.SIGSYS),
            ("socket.socket(socket.AF_INET6, socket.SOCK_STREAM)", 0),
            ("socket.socket(socket.AF_NETLINK, socket.SOCK_RAW)", 1),
            ("mmap.mmap(-1, 4096, prot=mmap.PROT_READ)", 0),
            ("mmap.mmap(-1, 4096, prot=mmap.PROT_WRITE | mmap.PROT_EXEC)", 1),
        ):
            result = run(*SERVICE_USER, *self.confined, sys.executable, "-c", f"import ctypes, mmap, os, socket\n{code}")
            self.assertEqual(status, result.returncode, (code, result.stderr))

    def test_tests_of_the_program(self):
        for name, *only in (
            ("process/test_program.py",), ("process/test_options.py",), ("process/test_limits.py",),
            ("service/test_notify.py",), ("tls/test_identity.py",),
            ("tls/test_refusals.py", "TestReload", "TestSharedKeys"),
        ):
            result = run(*SERVICE_USER, sys.executable, self.folder / name, "--midge", self.program, *only)
            self.assertEqual(0, result.returncode, result.stderr)
            self.assertRegex(result.stderr, r"Ran [1-9]\d* tests")
            print(name, re.search(r"Ran .*", result.stderr).group(0), flush=True)


if __name__ == "__main__":
    case.main("build")
