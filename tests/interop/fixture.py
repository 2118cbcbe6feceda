#!/usr/bin/env python3
"""Starts a broker on a free port, runs one client program against it, and checks that the broker took no harm.

    fixture.py [--broker PATH] [--config LINE]... [--lossless] [--timeout S] PROGRAM [ARGUMENT]...

runs PROGRAM HOST:PORT ARGUMENT... and fails unless
  - the program ends with status 0 within the timeout,
  - every pool of the broker ($SYS/broker/pools/+/used) is back to where it was before the program,
  - with --lossless, no message was lost except with the session or the connection that it was for ($SYS/broker/drops),
  - the broker's own audit (SIGUSR1) says ok,
  - the broker ends with status 0 on SIGTERM and no sanitizer spoke.

--broker mosquitto runs the program against Mosquitto instead, to find out whether a test is right in what it expects; pools and
audit are then left out, and so are configuration lines that Mosquitto does not know (those that begin with limit_, overflow_
...). The program finds INTEROP_REFERENCE=1 in its environment then. With MIDGE_TRACE=1 in the environment the broker logs each
packet.
"""

import argparse
import os
import random
import re
import shutil
import signal
import socket
import subprocess
import sys
import tempfile
import threading
import time

import wire

HERE = os.path.dirname(os.path.abspath(__file__))
START_S = 120  # until the broker listens
SETTLE_S = 300  # until pools are back, and until the broker has ended
NAME_SIZE, INDEX_SIZE = 16, 4  # limit_name_size unless configured, and what of it links a name's chunks
LOG_LINES = 120  # of the broker's log, shown with a failure
SANITIZER = re.compile(r"AddressSanitizer|LeakSanitizer|UndefinedBehaviorSanitizer|runtime error:")
# Losses that a client brings upon itself: it discards its session, or leaves without waiting for what is on its way.
HARMLESS = {"session_clean", "qos0_cut"}
# Options that only Midge has.
OURS = re.compile(r"(limit|overflow|connect_timeout|assembly_timeout|close_timeout|progress_timeout)")


class Failure(Exception):
    """What the fixture reports."""


def free_port(kind=socket.SOCK_STREAM):
    """A port outside the range that the kernel gives to clients, so that no connection can take it meanwhile."""
    with open("/proc/sys/net/ipv4/ip_local_port_range", encoding="ascii") as file:
        first = int(file.read().split()[0])
    while True:
        port = random.randrange(10000, max(first, 12000))
        with socket.socket(socket.AF_INET, kind) as probe:
            try:
                probe.bind(("127.0.0.1", port))
                return port
            except OSError:
                continue


class Broker:
    """A broker process and its log."""

    def __init__(self, path, lines, folder):
        self.reference = os.path.basename(path) == "mosquitto"
        self.path = shutil.which(path, path=os.environ["PATH"] + ":/usr/sbin") if self.reference else path
        if not self.path or not os.access(self.path, os.X_OK):
            raise Failure(f"there is no broker at {path}")
        self.lines = [line for line in lines if not (self.reference and OURS.match(line))]
        self.name_size = max([int(line.split()[1]) for line in lines if line.startswith("limit_name_size")], default=NAME_SIZE)
        self.folder = folder
        self.log = []
        self.changed = threading.Condition()
        self.process = None
        self.address = None

    def start(self):
        """Tries another port if somebody took the one found free."""
        for _ in range(5):
            port = free_port()
            self.address = ("127.0.0.1", port)
            self._launch(port)
            if self.wait_log(r"listening on|mosquitto version \S+ running", START_S):
                return
            if not any("in use" in line for line in self.log):
                break
            self.process.wait()
            self.log.clear()
        raise Failure("the broker does not listen")

    def _launch(self, port):
        config = os.path.join(self.folder, "broker.conf")
        with open(config, "w", encoding="utf-8") as file:
            file.write("\n".join([f"listener {port} 127.0.0.1", "allow_anonymous true", *self.lines]) + "\n")
        options = dict(os.environ)
        options["ASAN_OPTIONS"] = "detect_leaks=1:abort_on_error=0:exitcode=99"
        options["UBSAN_OPTIONS"] = "print_stacktrace=1:halt_on_error=1:exitcode=99"
        command = [self.path, "-c", config] + (["-v"] if os.environ.get("MIDGE_TRACE") else [])
        self.process = subprocess.Popen(command, stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL, stderr=subprocess.PIPE,
                                        env=options, text=True, errors="replace", start_new_session=True)
        threading.Thread(target=self._read_log, args=(self.process.stderr,), daemon=True).start()

    def _read_log(self, stream):
        for line in stream:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def wait_log(self, pattern, timeout, start=0):
        """The first line from `start` on that matches; None if the broker ended or the time is over."""
        wanted = re.compile(pattern)
        deadline = time.monotonic() + timeout
        with self.changed:
            while True:
                for line in self.log[start:]:
                    if wanted.search(line):
                        return line
                left = deadline - time.monotonic()
                if left <= 0 or self.process.poll() is not None:
                    return None
                self.changed.wait(min(left, 0.2))

    def audit(self):
        """Asks the broker to check all its invariants."""
        start = len(self.log)
        self.process.send_signal(signal.SIGUSR1)
        line = self.wait_log(r"audit: ", SETTLE_S, start)
        if line is None or not line.endswith("audit: ok"):
            raise Failure(f"audit: {line or 'no answer to SIGUSR1'}")

    def stop(self):
        """SIGTERM must be answered with a clean end, at once."""
        if self.process.poll() is not None:
            raise Failure(f"the broker ended by itself, status {self.process.returncode}")
        self.process.send_signal(signal.SIGTERM)
        try:
            status = self.process.wait(SETTLE_S)
        except subprocess.TimeoutExpired as error:
            raise Failure("the broker does not end on SIGTERM") from error
        if status != 0:
            raise Failure(f"the broker ended with status {status}")
        if any(SANITIZER.search(line) for line in self.log):
            raise Failure("a sanitizer reported something")

    def kill(self):
        """For the way out, whatever happened."""
        if self.process and self.process.poll() is None:
            self.process.kill()
            self.process.wait()


class PoolWatch:
    """Watches $SYS/broker/pools/+/used: $SYS itself, the watching client and its subscriptions are part of both readings."""

    def __init__(self, broker):
        self.broker = broker
        self.drops = {}

    def read(self):
        """One whole publication of all pools, not replayed from the past but fresh."""
        client = wire.connected(self.broker.address, "pool-watch", keepalive=0)
        client.subscribe(("$SYS/broker/pools/+/used", 0), ("$SYS/broker/drops/+", 0))
        values, deadline = {}, time.monotonic() + SETTLE_S
        while time.monotonic() < deadline:
            message = client.receive_publish(SETTLE_S)
            branch, name = message.topic.split("/")[2:4]
            if branch == "drops":
                self.drops[name] = int(message.payload)
            elif name in values:
                client.disconnect()
                return self._without_drops(values)
            elif not message.retain:
                values[name] = int(message.payload)
        raise Failure("$SYS/broker/pools is not published")

    def _without_drops(self, values):
        """A reason has a topic in $SYS once a message was lost for it. These retained messages are no leak: a block each, and a
        node and its name for each of them and for the level above."""
        names = [*self.drops, "drops"] if self.drops else []
        values["blocks"] -= len(self.drops)
        values["topic_nodes"] -= len(names)
        values["names"] -= sum(-(-len(name) // (self.broker.name_size - INDEX_SIZE)) for name in names)
        return values

    def settle(self):
        """Two equal readings in a row: what the start itself still had to do is done."""
        last = self.read()
        while True:
            now = self.read()
            if now == last:
                return now
            last = now

    def await_return(self, before):
        """Waits until the pools are back. They may hold less: a client may have cleared a retained value of $SYS."""
        deadline = time.monotonic() + SETTLE_S
        while True:
            now = self.read()
            kept = {name: (before.get(name), now[name]) for name in now if now[name] > before.get(name, 0)}
            if not kept:
                return
            if time.monotonic() > deadline:
                raise Failure(f"pools are not back to where they were (before, after): {kept}")


def command_of(program, address, arguments):
    """Scripts get the interpreter of Debian, which finds Debian's libraries."""
    host = f"{address[0]}:{address[1]}"
    by_suffix = {".py": ["/usr/bin/python3"], ".js": ["/usr/bin/env", "node"]}
    return by_suffix.get(os.path.splitext(program)[1], []) + [program, host, *arguments]


def run_program(broker, options):
    """Runs the client program; it and all it started are gone afterwards."""
    environment = dict(os.environ, PYTHONPATH=HERE, PYTHONDONTWRITEBYTECODE="1", NODE_PATH="/usr/share/nodejs",
                       INTEROP_BROKER_PID=str(broker.process.pid))
    if broker.reference:
        environment["INTEROP_REFERENCE"] = "1"
    command = command_of(options.program, broker.address, options.arguments)
    program = subprocess.Popen(command, stdin=subprocess.DEVNULL, env=environment, start_new_session=True)
    try:
        status = program.wait(options.timeout)
    except subprocess.TimeoutExpired as error:
        raise Failure(f"the program did not end within {options.timeout} s") from error
    finally:
        try:
            os.killpg(program.pid, signal.SIGKILL)
        except ProcessLookupError:
            pass
        program.wait()
    if status != 0:
        raise Failure(f"the program ended with status {status}")


def check(broker, options):
    """The whole of one test."""
    broker.start()
    watch = None if broker.reference else PoolWatch(broker)
    before = watch.settle() if watch else None
    run_program(broker, options)
    if watch:
        watch.await_return(before)
        print(f"messages lost, by reason: {watch.drops or 'none'}")
        if options.lossless and set(watch.drops) - HARMLESS:
            raise Failure("messages were lost")
        broker.audit()
    broker.stop()


def parse_options():
    parser = argparse.ArgumentParser(description="Runs a client program against a broker of its own.")
    parser.add_argument("--broker", default=os.environ.get("MIDGE_BROKER"), help="path of midge, or 'mosquitto'")
    parser.add_argument("--config", action="append", default=[], metavar="LINE", help="a line of its configuration")
    parser.add_argument("--lossless", action="store_true", help="fail if a message was lost")
    parser.add_argument("--timeout", type=float, default=600, help="seconds that the program may take")
    parser.add_argument("program")
    parser.add_argument("arguments", nargs=argparse.REMAINDER)
    options = parser.parse_args()
    if not options.broker:
        parser.error("--broker PATH, or MIDGE_BROKER=PATH in the environment")
    return options


def main():
    options = parse_options()
    with tempfile.TemporaryDirectory() as folder:
        broker = Broker(options.broker, ["sys_interval 1", *options.config], folder)
        try:
            check(broker, options)
        except (Failure, wire.Closed, wire.Timeout, OSError, AssertionError) as failure:
            print("\n".join(["---- the broker's log ----", *broker.log[-LOG_LINES:], "----"]), file=sys.stderr)
            print(f"FAILED: {type(failure).__name__}: {failure}", file=sys.stderr)
            return 1
        finally:
            broker.kill()
    return 0


if __name__ == "__main__":
    sys.exit(main())
