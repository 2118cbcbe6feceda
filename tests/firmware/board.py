"""A board in the emulator: starts it, reads its console, asks it for its pools.

    with Board("name") as board:
        client = board.client("a")      # a wire.Client that is connected
        board.wait(r"Client a .*disconnect")
        board.settled()                 # everything is free again

The user network's forwarded port has a backlog of 1, so clients connect one after another: `client` waits for the CONNACK.
"""

import contextlib
import os
import pathlib
import re
import shlex
import socket
import subprocess
import sys
import tempfile
import threading
import time

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "interop"))
import fixture  # noqa: E402
import frames  # noqa: E402
import wire  # noqa: E402

# Generous: they only bound how long a failing test hangs.
DEADLINE_S = 300
START_S = 300
TELL_S = 10

# What lwIP may want more of its heap than at the start when nobody is connected: DHCP speaks now and then.
HEAP_SLACK_BYTES = 128


class Failure(Exception):
    """What a test found wrong."""


def free_udp_ports(count):
    found = set()
    while len(found) < count:
        found.add(fixture.free_port(socket.SOCK_DGRAM))
    return list(found)


def facts(name, variant=""):
    """What the board's board.cmake says, as the build of its image has written it down."""
    text = (ROOT / "build" / "firmware" / f"{name}{variant}" / "board.txt").read_text(encoding="ascii")
    return dict(line.split("=", 1) for line in text.splitlines())


class Board:
    """`network` replaces the user network by other -nic arguments; `{port}` in them is the host's port. `extra` are more
    arguments for the emulator."""

    def __init__(self, name, image="midge", network=None, extra=(), guest_port=1883, variant=""):
        self.name = name
        self.image = ROOT / "build" / "firmware" / f"{name}{variant}" / f"{image}.elf"
        self.facts = facts(name, variant)
        self.has = self.facts["has"].split()
        self.clients = int(self.facts["clients"])
        self.network = network
        self.extra = list(extra)
        self.guest_port = guest_port
        self.lines = []
        self.partial = ""
        self.changed = threading.Condition()
        self.process = None
        self.address = None
        self.scope = None
        self.idle = {}  # the pools at the start: buffers may be in an Ethernet ring, mDNS keeps what it says

    def __enter__(self):
        try:
            self.start()
        except BaseException:
            self.__exit__(*sys.exc_info())
            raise
        return self

    def __exit__(self, kind, error, _):
        if error is not None:
            self.tell()
        self.stop()

    def tell(self):
        """What there is to find out why a test has failed."""
        if self.process and self.process.poll() is None and self.image.stem == "midge":
            since = self.mark()
            with contextlib.suppress(Failure, OSError):
                self.say("p")
                self.wait("^end of pools", TELL_S, since)
        print(f"---- console of {self.name} ----", *self.lines[-120:], "---- frames ----", *self.frames(200), sep="\n",
              file=sys.stderr)

    def frames(self, last):
        """The last frames on the user network's wire, in words."""
        return frames.told(self.wire, last) if self.scope else []

    # ---- the emulator ----

    def start(self):
        port = fixture.free_port()
        self.address = ("127.0.0.1", port)
        self.scope = tempfile.TemporaryDirectory()
        self.wire = pathlib.Path(self.scope.name) / "frames"
        network = self.network or [
            "-nic", f"user,id=n0,restrict=on,ipv6=off,hostfwd=tcp:127.0.0.1:{port}-:{self.guest_port}",
            "-object", f"filter-dump,id=dump,netdev=n0,file={self.wire},maxlen={frames.KEPT_BYTES}"]
        command = [*shlex.split(self.facts["emulator"]), "-display", "none", "-monitor", "none", "-parallel", "none",
                   "-serial", "stdio", "-kernel", str(self.image), *network, *self.extra]
        self.process = subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.PIPE)
        threading.Thread(target=self._read, daemon=True).start()
        self.wait(r"^listening on port", START_S)
        if self.image.stem == "midge":
            self.idle = self.pools()

    def stop(self):
        if self.process and self.process.poll() is None:
            self.process.terminate()
            try:
                self.process.wait(DEADLINE_S)
            except subprocess.TimeoutExpired:
                self.process.kill()
                self.process.wait()
        if self.process:
            self.process.stdin.close()
        if self.scope:
            self.scope.cleanup()

    def _read(self):
        stream = self.process.stdout
        while True:
            data = os.read(stream.fileno(), 4096)
            with self.changed:
                if not data:
                    self.lines.append("(the emulator ended)")
                    self.changed.notify_all()
                    stream.close()
                    return
                *whole, self.partial = (self.partial + data.decode(errors="replace")).split("\n")
                self.lines += [line.rstrip("\r") for line in whole]
                self.changed.notify_all()

    # ---- the console ----

    def mark(self):
        """A place in the console's output, for `wait`."""
        with self.changed:
            return len(self.lines)

    def wait(self, pattern, timeout=DEADLINE_S, since=0, count=1):
        """Waits until `count` lines from `since` on match; returns the last of them."""
        expression = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                found = [line for line in self.lines[since:] if expression.search(line)]
                if len(found) >= count:
                    return found[count - 1]
                if self.lines[-1:] == ["(the emulator ended)"]:
                    raise Failure(f"the emulator ended: {self.process.stderr.read().decode(errors='replace')}")
                left = deadline - time.monotonic()
                if left <= 0:
                    raise Failure(f"the console never said {count} times: {pattern}")
                self.changed.wait(left)

    def say(self, characters):
        self.process.stdin.write(characters.encode())
        self.process.stdin.flush()

    def pools(self):
        """The pools as {name: (used, peak, capacity)}, with "stack": (untouched, size) and others as the console names them."""
        since = self.mark()
        self.say("p")
        self.wait("^end of pools", since=since)
        found = {}
        with self.changed:
            for line in self.lines[since:]:
                match = re.match(r"  (.+): (\d+) used, (\d+) at most, of (\d+)$", line)
                if match:
                    found[match.group(1)] = tuple(int(number) for number in match.groups()[1:])
                for name, number in re.findall(r"(frames lost|connections without room|writes tried again): (\d+)", line):
                    found[name] = int(number)
                match = re.match(r"  stack: (\d+) bytes never touched, of (\d+)", line)
                if match:
                    found["stack"] = (int(match.group(1)), int(match.group(2)))
        return found

    def settled(self, kept=None, timeout=DEADLINE_S):
        """Waits until everything is free again, but for `kept`: {pool: used}. Returns the pools."""
        kept = {"receive buffers": self.idle["receive buffers"][0], **(kept or {})}
        deadline = time.monotonic() + timeout
        while True:
            pools = self.pools()
            wrong = {
                name: use for name, use in pools.items()
                if isinstance(use, tuple) and len(use) == 3 and not name.startswith(("TCP", "TLS"))
                and use[0] != kept.get(name, 0)}
            # A PCB in TIME-WAIT is free for whoever needs it; what is under way to lingering peers ends within seconds.
            if pools["TCP heap bytes"][0] > self.idle["TCP heap bytes"][0] + HEAP_SLACK_BYTES:
                wrong["TCP heap bytes"] = pools["TCP heap bytes"]
            if pools["TCP segments"][0] > 0:
                wrong["TCP segments"] = pools["TCP segments"]
            if not wrong:
                return pools
            if time.monotonic() > deadline:
                raise Failure(f"not free again: {wrong}")
            time.sleep(0.2)

    def until(self, condition, words):
        """Waits until the pools are so."""
        deadline = time.monotonic() + DEADLINE_S
        while not condition(self.pools()):
            expect(time.monotonic() < deadline, words)
            time.sleep(0.1)

    def symbol(self, name):
        """The address of a variable of the image."""
        for line in subprocess.check_output(["arm-none-eabi-nm", "--defined-only", str(self.image)], text=True).splitlines():
            fields = line.split()
            if fields[-1] == name:
                return int(fields[0], 16)
        raise Failure(f"the image has no {name}")

    # ---- clients ----

    def open(self, **options):
        """A transport connection."""
        return wire.Client(self.address, **options)

    def client(self, client_id, receive_buffer=None, **options):
        """A client that is connected."""
        client = self.open(receive_buffer=receive_buffer)
        session_present, code = client.connect(client_id, **options)
        if code != 0:
            raise Failure(f"{client_id} was refused with {code}")
        client.session_present = session_present
        return client


def stack_headroom(pools, least=1024):
    untouched, size = pools["stack"]
    print(f"stack: {untouched} of {size} bytes never touched")
    if untouched < least:
        raise Failure(f"only {untouched} bytes of the stack were never touched")


def expect(condition, words):
    if not condition:
        raise Failure(words)
