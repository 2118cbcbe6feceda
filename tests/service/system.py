"""A system to install into: this one, with everything that is written going into memory that nobody sees, and with a network of
its own. Nothing of it outlives the test. All of it takes root."""

import fcntl
import os
import pathlib
import socket
import struct
import subprocess
import sys
import time

DEADLINE_S = 600
ENTERED = "MIDGE_TEST_SYSTEM"  # set where the test runs in namespaces of its own

# What makes the copy the root of a process that has new namespaces, and that process its systemd.
BOOT = """
set -e
cd "$1"
mount -t proc proc proc
mount -t sysfs sysfs sys
mount -t cgroup2 cgroup2 sys/fs/cgroup
mount -t tmpfs -o mode=755 tmpfs dev
for name in null zero full random urandom tty; do
    touch dev/$name
    mount --bind /dev/$name dev/$name
done
mkdir dev/pts dev/shm
mount -t devpts -o newinstance,ptmxmode=0666 devpts dev/pts
ln -s pts/ptmx dev/ptmx
pivot_root . mnt
umount -l mnt
exec env -i container=test PATH=/usr/sbin:/usr/bin:/sbin:/bin /lib/systemd/systemd --unit=idle.target --log-target=null
"""


def run(*command, **options):
    result = subprocess.run([str(part) for part in command], stdin=subprocess.DEVNULL, capture_output=True, text=True,
                            timeout=DEADLINE_S, check=False, **options)
    if result.returncode:
        raise AssertionError(f"{command}: {result.returncode}\n{result.stdout}{result.stderr}")
    return result.stdout


def enter():
    """Starts the test again in namespaces of its own, if it is not in them yet."""
    if os.geteuid() != 0:
        return
    if ENTERED not in os.environ:
        os.environ[ENTERED] = "1"
        os.execvp("unshare", ["unshare", "--mount", "--net", "--", sys.executable, *sys.argv])
    with socket.socket() as any_socket:  # switches the loopback interface on: ioctl(SIOCSIFFLAGS)
        fcntl.ioctl(any_socket, 0x8914, struct.pack("16sH14x", b"lo", 1))


class System:
    def __init__(self, build):
        """Makes the system, and in it the package of this build."""
        run("mount", "-t", "tmpfs", "tmpfs", "/mnt")
        for name in ("upper", "work", "root"):
            pathlib.Path("/mnt", name).mkdir()
        self.root = pathlib.Path("/mnt/root")
        self.inside = ["chroot", str(self.root)]
        run("mount", "-t", "overlay", "overlay", "-o", "lowerdir=/,upperdir=/mnt/upper,workdir=/mnt/work", self.root)
        run("mount", "-t", "proc", "proc", self.root / "proc")
        run("mount", "--rbind", "/dev", self.root / "dev")
        run("mount", "-t", "tmpfs", "tmpfs", self.root / "run")
        run("mount", "-t", "tmpfs", "-o", "mode=1777", "tmpfs", self.root / "tmp")
        run("cpack", "--config", pathlib.Path(build).resolve() / "CPackConfig.cmake", "-B", self.root / "tmp")
        self.package, = (self.root / "tmp").glob("*.deb")

    def boot(self):
        """Starts systemd in it, with nothing to do. Commands then run beside that. Returns the process that holds it."""
        self.path("/etc/systemd/system/idle.target").write_text("[Unit]\nDefaultDependencies=no\n", encoding="ascii")
        self.path("/usr/sbin/policy-rc.d").unlink(missing_ok=True)
        holder = subprocess.Popen(["unshare", "--mount", "--pid", "--ipc", "--uts", "--cgroup", "--fork", "--kill-child",
                                   "sh", "-c", BOOT, "boot", str(self.root)], stdin=subprocess.DEVNULL)
        children = pathlib.Path(f"/proc/{holder.pid}/task/{holder.pid}/children")
        deadline = time.monotonic() + DEADLINE_S
        while not self.path("/run/systemd/private").exists():
            if holder.poll() is not None or time.monotonic() > deadline:
                raise AssertionError("systemd does not start here")
            time.sleep(0.05)
        self.inside = ["nsenter", "--all", f"--target={children.read_text(encoding='ascii').strip()}", "--"]
        return holder

    def run(self, *command):
        return run(*self.inside, *command, env={**os.environ, "DEBIAN_FRONTEND": "noninteractive", "LC_ALL": "C"})

    def install(self):
        self.run("dpkg", "-i", f"/tmp/{self.package.name}")

    def path(self, name):
        return self.root / name.lstrip("/")
