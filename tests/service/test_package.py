"""What is installed: the files, the manual pages, and the Debian package in a system of its own.

The system is this one, with everything that is written going into memory that nobody sees, and with a network of its own: so
the package is really installed, serves a client, and is removed, and leaves nothing behind. That takes root.
"""

import os
import pathlib
import pwd
import re
import signal
import stat
import sys
import tempfile
import unittest

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
import case  # noqa: E402
import system  # noqa: E402
import wire  # noqa: E402
from case import OPTIONS  # noqa: E402
from process import Process  # noqa: E402
from system import run  # noqa: E402

PACKAGE = "midge-broker"
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
        program = self.folder / "sbin/midge"
        for usage in (run(program, "-h").split("\nSIGHUP")[0], run(program, "passwd", "-h")):
            for option in re.findall(r"\B--?[a-zA-Z][\w-]*", usage):
                self.assertRegex(page, rf"\B{option}\b")


@unittest.skipUnless(os.geteuid() == 0, "needs root, to make a system in which it is installed")
class TestPackage(unittest.TestCase):
    @classmethod
    def setUpClass(cls):
        cls.system = system.System(OPTIONS.build)
        cls.package = cls.system.package

    def serve(self):
        """The installed program with the installed configuration serves a client, as the user midge."""
        midge = Process([*self.system.inside, "/usr/sbin/midge", "-c", "/etc/midge/midge.conf"])
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
        made = self.system
        self.assertFalse(pathlib.Path("/etc/midge").exists(), "this machine has a midge; the test needs one without")
        made.install()
        users = re.findall(r"^midge:[^:]*:(\d+):(\d+):[^:]*:/var/lib/midge:/usr/sbin/nologin$",
                           made.path("/etc/passwd").read_text(encoding="utf-8"), flags=re.M)
        self.assertEqual(1, len(users))
        for name in ("/var/lib/midge", "/var/log/midge"):
            status = made.path(name).stat()
            self.assertEqual((*map(int, users[0]), 0o750), (status.st_uid, status.st_gid, stat.S_IMODE(status.st_mode)))
        wanted = made.path("/etc/systemd/system/multi-user.target.wants/midge.service")
        self.assertTrue(wanted.is_symlink())
        self.serve()

        config = made.path("/etc/midge/midge.conf")
        config.write_text(config.read_text(encoding="utf-8") + "max_qos 1\n", encoding="utf-8")
        made.run("/var/lib/dpkg/info/midge-broker.postinst", "configure", "0.1.0")
        made.install()
        self.assertTrue(config.read_text(encoding="utf-8").endswith("max_qos 1\n"))
        self.assertEqual(1, len(re.findall("^midge:", made.path("/etc/passwd").read_text(encoding="utf-8"), flags=re.M)))
        self.serve()

        made.run("dpkg", "-r", PACKAGE)
        self.assertFalse(made.path("/usr/sbin/midge").exists())
        self.assertTrue(config.exists())
        made.path("/var/lib/midge/journal").touch()
        made.run("dpkg", "-P", PACKAGE)
        for name in ("/etc/midge", "/var/lib/midge", "/var/log/midge", str(wanted)[len(str(made.root)):],
                     "/etc/systemd/system/midge.service"):
            self.assertFalse(os.path.lexists(made.path(name)), name)
        self.assertNotIn("midge", {entry.pw_name for entry in pwd.getpwall()})  # of this machine


if __name__ == "__main__":
    system.enter()
    case.main("build")
