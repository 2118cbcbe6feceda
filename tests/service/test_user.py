"""Whom Midge becomes, what it can do then, and what it needed root for. Most of it takes root."""

import grp
import os
import pathlib
import pwd
import random
import re
import shutil
import signal
import socket
import sys
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
import case  # noqa: E402
import wire  # noqa: E402
from case import OPTIONS  # noqa: E402
from process import Process  # noqa: E402

USER = "daemon"  # every Debian has it
needs_root = unittest.skipUnless(os.geteuid() == 0, "needs root, to stop being it")


def run(*arguments):
    return case.run(OPTIONS.midge, *arguments)


class Case(case.Case):
    always = ()

    @staticmethod
    def stop(midge):
        midge.signal(signal.SIGTERM)
        return midge.end()

    @staticmethod
    def status(midge):
        """What the kernel says about each thread."""
        for path in pathlib.Path(f"/proc/{midge.process.pid}/task").glob("*/status"):
            yield dict(re.findall(r"^(\w+):\s*(.*?)\s*$", path.read_text(encoding="ascii"), flags=re.M))

    def assert_is(self, midge, name):
        """It is that user for good: in every identity, with the user's groups, without capabilities."""
        midge.address()
        midge.wait_log(f"running as the user {name}$")
        user = pwd.getpwnam(name)
        for status in self.status(midge):
            self.assertEqual([str(user.pw_uid)] * 4, status["Uid"].split())
            self.assertEqual([str(user.pw_gid)] * 4, status["Gid"].split())
            self.assertEqual(set(os.getgrouplist(name, user.pw_gid)), {int(group) for group in status["Groups"].split()})
            self.assertEqual("1", status["NoNewPrivs"])
            for kind in ("CapInh", "CapPrm", "CapEff", "CapAmb"):
                self.assertEqual(0, int(status[kind], 16), kind)


@needs_root
class TestWhom(Case):
    def test_user(self):
        foreign = [str(group.gr_gid) for group in grp.getgrall() if group.gr_name in ("adm", "shadow", "sudo")]
        midge = self.start(f"user {USER}", command=("setpriv", "--groups", ",".join(foreign)))
        self.assert_is(midge, USER)
        client = wire.connected(midge.address(), "somebody")
        client.publish("t", "x", 1)
        client.cut()
        self.assertEqual(0, self.stop(midge))

    def test_without_the_option(self):
        names = {entry.pw_name for entry in pwd.getpwall()}
        self.assert_is(self.start(), "midge" if "midge" in names else "nobody")

    def test_root_stays_root(self):
        midge = self.start("user root")
        midge.address()
        self.assertEqual({"0"}, {uid for status in self.status(midge) for uid in status["Uid"].split()})

    def test_unknown_user(self):
        for job in ((), ("--test-config",)):
            self.write("user nosuchuser", "listener 0 127.0.0.1")
            result = run("-c", str(self.path), *job)
            self.assertEqual(2, result.returncode)
            self.assertIn(f"{self.path}:1: option \"user\": this system has no user \"nosuchuser\"; create it", result.stderr)

    def test_kernel_that_refuses(self):
        for capability in ("setuid", "setgid"):
            line = self.refused("listener 0 127.0.0.1", f"user {USER}", status=1,
                                command=("setpriv", f"--bounding-set=-{capability}"))
            self.assertIn(f"cannot become the user {USER}: Operation not permitted; start Midge as that user", line)

    def test_who_is_not_root_stays_who_he_is(self):
        command = ("setpriv", "--reuid", USER, "--regid", USER, "--clear-groups")
        program = shutil.copy(OPTIONS.midge, self.folder)  # the user may be unable to get at the original
        midge = self.start("user nobody", command=command, program=program)
        midge.wait_log("user nobody has no effect: only root can become another user")
        for status in self.status(midge):
            self.assertEqual([str(pwd.getpwnam(USER).pw_uid)] * 4, status["Uid"].split())
        for lines in ((f"user {USER}",), ("user root",), ()):
            midge = self.start(*lines, command=command, program=program)
            midge.address()
            self.assertEqual(0, self.stop(midge))
            self.assertNotIn("has no effect", "\n".join(midge.log))

    def test_a_reload_does_not_change_it(self):
        midge = self.start(f"user {USER}")
        midge.address()
        self.write("listener 0 127.0.0.1", "user nobody")
        midge.signal(signal.SIGHUP)
        midge.wait_log("Reload: user changes at the next start only")
        self.assert_is(midge, USER)


@needs_root
class TestFiles(Case):
    """What only root can open, and what must not be opened as root."""

    def of_user(self, name):
        """A directory that belongs to the user."""
        folder = self.folder / name
        folder.mkdir()
        os.chown(folder, pwd.getpwnam(USER).pw_uid, -1)
        return folder

    def test_port_for_root(self):
        while True:
            with socket.socket() as probe:
                try:
                    probe.bind(("127.0.0.1", random.randrange(600, 1024)))
                except OSError:
                    continue
                port = probe.getsockname()[1]
            break
        midge = self.start(f"user {USER}", f"listener {port} 127.0.0.1")
        self.assert_is(midge, USER)
        wire.connected(("127.0.0.1", port), "somebody").cut()

    def test_pid_file(self):
        """It stays root's. Its end is its removal, or being empty, in a directory where only root removes files."""
        for folder, left in ((self.folder, ""), (self.of_user("run"), None)):
            pid = folder / "midge.pid"
            midge = self.start(f"user {USER}", f"pid_file {pid}")
            self.assert_is(midge, USER)
            self.assertEqual(midge.process.pid, int(pid.read_text(encoding="ascii")))
            self.assertEqual(0, pid.stat().st_uid)
            self.assertEqual(0, self.stop(midge))
            self.assertEqual(left, pid.read_text(encoding="ascii") if pid.exists() else None)

    def test_log_file_is_the_users(self):
        log = self.folder / "midge.log"
        midge = self.start(f"user {USER}", "log_dest stderr", f"log_dest file {log}")
        self.assert_is(midge, USER)
        self.assertEqual((pwd.getpwnam(USER).pw_uid, 0o640), (log.stat().st_uid, log.stat().st_mode & 0o777))
        self.assertIn("listening on", log.read_text(encoding="utf-8"))
        # As logrotate does it: the old file moves away, a new one waits.
        log.rename(self.folder / "midge.log.1")
        log.touch()
        os.chown(log, pwd.getpwnam(USER).pw_uid, -1)
        midge.signal(signal.SIGHUP)
        midge.wait_log("Reload: the configuration was read again")
        # Each destination gets the line in its turn; once the process has ended, all have it.
        self.stop(midge)
        self.assertIn("Reload:", log.read_text(encoding="utf-8"))

    def test_links_do_not_make_root_write(self):
        """The user could lay them, and have root's next start give away what is root's."""
        secret = self.folder / "secret"
        secret.write_text("root's", encoding="utf-8")
        secret.chmod(0o600)
        new = self.folder / "new"
        for target in (secret, new):
            folder = self.of_user(f"of-{target.name}")
            link = folder / "link"
            link.symlink_to(target)
            for option in ("log_dest file", "pid_file"):
                line = self.refused("listener 0 127.0.0.1", f"user {USER}", f"{option} {link}", status=1)
                self.assertIn(str(link), line)
        self.assertFalse(new.exists())
        self.assertEqual(("root's", 0, 0o600), (secret.read_text(encoding="utf-8"), secret.stat().st_uid,
                                                secret.stat().st_mode & 0o777))

    def test_log_file_of_another(self):
        log = self.folder / "midge.log"
        log.touch(0o600)
        line = self.refused("listener 0 127.0.0.1", f"user {USER}", f"log_dest file {log}", status=1)
        self.assertIn(f"cannot write the log file {log}: Permission denied; its user is {USER} (option user)", line)

    def test_configuration_that_the_user_cannot_read_again(self):
        midge = self.start(f"user {USER}", "max_qos 1")
        midge.address()
        self.path.chmod(0o600)
        midge.signal(signal.SIGHUP)
        midge.wait_log(f"Reload failed, nothing was changed: cannot read {self.path}: Permission denied")
        client = wire.connected(midge.address(), "somebody")
        self.assertEqual([1], client.subscribe(("t", 2)))
        client.cut()


class TestStartAndEnd(Case):
    def test_port_that_midge_has(self):
        first = Process([OPTIONS.midge, "-p", "0"])
        self.addCleanup(first.kill)
        port = first.address()[1]
        for arguments in (("-p", str(port)), ("-c", str(self.path))):
            self.write(f"listener {port} 127.0.0.1")
            result = run(*arguments)
            self.assertEqual(1, result.returncode)
            self.assertRegex(result.stderr, rf"cannot listen on 127\.0\.0\.1 port {port}: Address already in use; "
                             rf"midge \(process {first.process.pid}\) has it: .*-p PORT or \"listener PORT\"")

    def test_port_of_another_program(self):
        with socket.socket(socket.AF_INET6) as other:
            other.setsockopt(socket.IPPROTO_IPV6, socket.IPV6_V6ONLY, 0)
            other.bind(("::", 0))
            other.listen()
            result = run("-p", str(other.getsockname()[1]))
        self.assertEqual(1, result.returncode)
        self.assertRegex(result.stderr, rf"python3\S* \(process {os.getpid()}\) has it")

    def test_exit_status(self):
        self.write("max_qos 7")
        for arguments, status in ((("--version",), 0), (("--nonsense",), 2), (("-p", "x"), 2), (("-c", str(self.path)), 2),
                                  (("-c", str(self.folder / "missing.conf")), 2)):
            self.assertEqual(status, run(*arguments).returncode, arguments)

    def test_end_does_not_wait_for_anybody(self):
        """Clients that read nothing, and peers that never said who they are, do not hold it up."""
        midge = self.start("user root")
        address = midge.address()
        silent = [wire.Client(address) for _ in range(50)]
        deaf = [wire.connected(address, f"deaf-{number}") for number in range(20)]
        for client in deaf:
            client.subscribe(("t", 0))
        sender = wire.connected(address, "sender")
        for _ in range(100):
            sender.publish("t", b"x" * 100000, 0)
        sender.ping()
        self.assertEqual(0, self.stop(midge))
        midge.wait_log("midge ends: 71 connections closed")
        for client in (*silent, *deaf, sender):
            client.cut()


if __name__ == "__main__":
    case.main("midge")
