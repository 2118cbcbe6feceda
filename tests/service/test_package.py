"""What is installed: the files, the manual pages, and the Debian package in a system of its own.

The system is this one, with everything that is written going into memory that nobody sees, and with a network of its own: so
the package is really installed, serves a client, and is removed, and leaves nothing behind. That takes root.
"""

import argparse
import os
import pathlib
import pwd
import re
import signal
import stat
import subprocess
import sys
import tempfile
import unittest

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "interop"), str(ROOT / "process")]
import wire  # noqa: E402
from process import DEADLINE_S, Process  # noqa: E402

OPTIONS = None
PACKAGE = "midge-broker"
OF_ITS_OWN = "MIDGE_TEST_SYSTEM"  # set where the test runs in the system that it made
FILES = {
    "etc/midge/midge.conf": 0o644,
    "lib/systemd/system/midge.service": 0o644,
    "sbin/midge": 0o755,
    f"share/doc/{PACKAGE}/README.md": 0o644,
    f"share/doc/{PACKAGE}/changelog.gz": 0o644,
    f"share/doc/{PACKAGE}/copyright": 0o644,
    "share/man/man5/midge.conf.5.gz": 0o644,
    "share/man/man8/midge.8.gz": 0o644,
}


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=DEADLINE_S, check=False, **options)
    if result.returncode:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


class TestInstall(unittest.TestCase):
    def setUp(self):
        folder = tempfile.TemporaryDirectory()
        self.addCleanup(folder.cleanup)
        self.folder = pathlib.Path(folder.name)

    def install(self, prefix, **variables):
        run("cmake", "--install", OPTIONS.build, "--prefix", prefix, env={**os.environ, **variables})

    def found(self):
        return {str(path.relative_to(self.folder)): stat.S_IMODE(path.stat().st_mode)
                for path in self.folder.rglob("*") if path.is_file()}

    def test_under_a_prefix(self):
        self.install(self.folder)
        self.assertEqual(FILES, self.found())
        self.assertTrue((self.folder / "etc/midge/conf.d").is_dir())
        config = self.folder / "etc/midge/midge.conf"
        unit = (self.folder / "lib/systemd/system/midge.service").read_text(encoding="utf-8")
        self.assertIn(f"ExecStart={self.folder}/sbin/midge -c {config}\n", unit)
        self.assertIn(f"include_dir {self.folder}/etc/midge/conf.d\n", config.read_text(encoding="utf-8"))
        # A second installation keeps what the operator has written.
        config.write_text("max_qos 1\n", encoding="utf-8")
        self.install(self.folder)
        self.assertEqual("max_qos 1\n", config.read_text(encoding="utf-8"))

    def test_under_usr_the_configuration_is_in_etc(self):
        self.install("/usr", DESTDIR=str(self.folder))
        moved = {name if name.startswith("etc/") else f"usr/{name}": mode for name, mode in FILES.items()}
        self.assertEqual(moved, self.found())
        unit = (self.folder / "usr/lib/systemd/system/midge.service").read_text(encoding="utf-8")
        self.assertIn("ExecStart=/usr/sbin/midge -c /etc/midge/midge.conf\n", unit)

    def test_manual_pages(self):
        self.install(self.folder)
        for name in ("man8/midge.8", "man5/midge.conf.5"):
            page = self.folder / pathlib.Path(name).name
            page.write_text(run("gzip", "-dc", self.folder / f"share/man/{name}.gz"), encoding="utf-8")
            self.assertEqual("", run("mandoc", "-T", "lint", "-W", "warning", page))
            self.assertEqual("", run("groff", "-mdoc", "-Tutf8", "-ww", "-z", page))
        text = run("mandoc", "-T", "ascii", "-O", "width=1000", self.folder / "midge.conf.5")
        text = re.sub(r".\x08", "", text)
        text = text[text.index("\nOPTIONS"): text.index("\nFILES")]
        rows = re.findall(r"^(\w+)  \((.*)\)\n    (.*)$", run(self.folder / "sbin/midge", "--options"), flags=re.M)
        self.assertLess(50, len(rows))
        for name, valid, says in rows:
            self.assertRegex(text, rf"(?m)^ +{name}\b\s+Valid: {re.escape(valid)}", name)
            self.assertIn(re.sub(r"\W", "", says), re.sub(r"\W", "", text), name)
        page = run("mandoc", "-T", "ascii", self.folder / "midge.8")
        page = re.sub(r".\x08", "", page)
        for option in re.findall(r"--?[\w-]+", run(self.folder / "sbin/midge", "-h").split("\nSIGHUP")[0]):
            self.assertIn(option, page)


class System:
    """A copy of this system. Nothing that is written in it outlives the test."""

    def __init__(self):
        run("mount", "-t", "tmpfs", "tmpfs", "/mnt")
        for name in ("upper", "work", "root"):
            pathlib.Path("/mnt", name).mkdir()
        self.root = pathlib.Path("/mnt/root")
        run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work", self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--rbind", "/dev", self.root / "dev")
        run("mount", "-t", "tmpfs", "tmpfs", self.root / "run")
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.root / "tmp")

    def run(self, *command):
        return run("chroot", self.root, *command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def path(self, name):
        return self.root / name.lstrip("/")


def raise_loopback():
    """Switches the loopback interface of this network on: ioctl(SIOCSIFFLAGS)."""
    import fcntl
    import socket
    import struct

    with socket.socket() as any_socket:
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


@unittest.skipUnless(os.geteuid() == 0, "needs root, to make a system in which it is installed")
class TestPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        raise_loopback()
        folder = tempfile.TemporaryDirectory()
        cls.addClassCleanup(folder.cleanup)
        run("cpack", "--config", pathlib.Path(OPTIONS.build).resolve() / "CPackConfig.cmake", "-B", folder.name)
        cls.package, = pathlib.Path(folder.name).glob("*.deb")
        cls.system = System()
        cls.system.path("/tmp/midge.deb").write_bytes(cls.package.read_bytes())

    def serve(self):
        """The installed program with the installed configuration serves a client, as the user midge."""
        midge = Process(["chroot", str(self.system.root), "/usr/sbin/midge", "-c", "/etc/midge/midge.conf"])
        self.addCleanup(midge.kill)
        midge.wait_log("running as the user midge$")
        client = wire.connected(("127.0.0.1", 1883), "somebody")
        client.subscribe(("t", 1))
        client.publish("t", "x", 1)
        self.assertEqual(b"x", client.receive_publish().payload)
        midge.signal(signal.SIGHUP)
        midge.wait_log("Reload: the configuration was read again")
        midge.signal(signal.SIGTERM)
        self.assertEqual([], client.expect_close())
        self.assertEqual(0, midge.end())

    def test_contents(self):
        lines = [line.split() for line in run("dpkg-deb", "-c", self.package).splitlines()]
        self.assertEqual({"root/root"}, {line[1] for line in lines})
        modes = {line[5][2:]: line[0] for line in lines}
        expected = {name if name.startswith("etc/") else f"usr/{name}": stat.filemode(stat.S_IFREG | mode)
                    for name, mode in FILES.items()}
        self.assertEqual(expected, {name: mode for name, mode in modes.items() if not name.endswith("/")})
        self.assertEqual({"drwxr-xr-x"}, {mode for name, mode in modes.items() if name.endswith("/")})
        self.assertIn("etc/midge/conf.d/", modes)

    def test_control(self):
        version = run(pathlib.Path(OPTIONS.build) / "midge", "--version").split()[2]
        fields = {name: run("dpkg-deb", "-f", self.package, name).strip()
                  for name in ("Package", "Version", "Maintainer", "Depends", "Architecture", "Section")}
        self.assertEqual((PACKAGE, version, "net"), (fields["Package"], fields["Version"], fields["Section"]))
        self.assertEqual(run("dpkg", "--print-architecture").strip(), fields["Architecture"])
        self.assertTrue(fields["Maintainer"].startswith("Midge developers <"))
        self.assertRegex(fields["Depends"], r"adduser, .*libc6 \(>= ")
        self.assertEqual(f"{PACKAGE}_{version}_{fields['Architecture']}.deb", self.package.name)

    def test_life(self):
        """Installed, started, installed again, removed, purged."""
        system = self.system
        self.assertFalse(pathlib.Path("/etc/midge").exists(), "this machine has a midge; the test needs one without")
        system.run("dpkg", "-i", "/tmp/midge.deb")
        users = re.findall(r"^midge:[^:]*:(\d+):(\d+):[^:]*:/var/lib/midge:/usr/sbin/nologin$",
                           system.path("/etc/passwd").read_text(encoding="utf-8"), flags=re.M)
        self.assertEqual(1, len(users))
        for name in ("/var/lib/midge", "/var/log/midge"):
            status = system.path(name).stat()
            self.assertEqual((*map(int, users[0]), 0o750), (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)))
        wanted = system.path("/etc/systemd/system/multi-user.target.wants/midge.service")
        self.assertTrue(wanted.is_symlink())
        self.serve()

        config = system.path("/etc/midge/midge.conf")
        config.write_text(config.read_text(encoding="utf-8") + "max_qos 1\n", encoding="utf-8")
        system.run("/var/lib/dpkg/info/midge-broker.postinst", "configure", "0.1.0")
        system.run("dpkg", "-i", "/tmp/midge.deb")
        self.assertTrue(config.read_text(encoding="utf-8").endswith("max_qos 1\n"))
        self.assertEqual(1, len(re.findall("^midge:", system.path("/etc/passwd").read_text(encoding="utf-8"), flags=re.M)))
        self.serve()

        system.run("dpkg", "-r", PACKAGE)
        self.assertFalse(system.path("/usr/sbin/midge").exists())
        self.assertTrue(config.exists())
        system.path("/var/lib/midge/journal").touch()
        system.run("dpkg", "-P", PACKAGE)
        for name in ("/etc/midge", "/var/lib/midge", "/var/log/midge", str(wanted)[len(str(system.root)):],
                     "/etc/systemd/system/midge.service"):
            self.assertFalse(os.path.lexists(system.path(name)), name)
        self.assertNotIn("midge", {entry.pw_name for entry in pwd.getpwall()})  # of this machine


if __name__ == "__main__":
    if os.geteuid() == 0 and OF_ITS_OWN not in os.environ:
        os.environ[OF_ITS_OWN] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--net", "--", sys.executable, *sys.argv])
    parser = argparse.ArgumentParser()
    parser.add_argument("--build", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2, warnings="ignore")
