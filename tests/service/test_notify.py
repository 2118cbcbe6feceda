"""What a service manager is told, by a manager that the test plays: readiness, reload, end, and the watchdog."""

import os
import pathlib
import re
import select
import signal
import socket
import sys
import time

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "process"))
import case  # noqa: E402
import wire  # noqa: E402
from case import OPTIONS  # noqa: E402
from process import DEADLINE_S, Process  # noqa: E402


class Manager:
    """The service manager's end of the socket."""

    def __init__(self, address):
        self.socket = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
        self.socket.bind(address)
        self.socket.settimeout(DEADLINE_S)

    def next(self):
        return self.socket.recv(4096).decode()

    def until(self, message):
        """All messages up to this one."""
        found = [self.next()]
        while found[-1] != message:
            found.append(self.next())
        return found

    def waiting(self):
        """The messages that are there already."""
        found = []
        while select.select([self.socket], [], [], 0)[0]:
            found.append(self.next())
        return found


class Case(case.Case):
    def setUp(self):
        super().setUp()
        self.socket_path = str(self.folder / "notify")

    def manage(self, address):
        manager = Manager(address)
        self.addCleanup(manager.socket.close)
        return manager

    def start_for(self, notify, **variables):
        self.start(environment={**os.environ, "NOTIFY_SOCKET": notify, **variables})

    def serves(self):
        client = self.client("somebody")
        client.ping()
        client.cut()

    def stop(self):
        self.midge.signal(signal.SIGTERM)
        self.assertEqual(0, self.midge.end())


class TestStates(Case):
    def test_ready_reload_stopping(self):
        manager = self.manage(self.socket_path)
        self.start_for(self.socket_path)
        self.assertEqual("READY=1", manager.next())
        # It was not said too early: the log has the address already, and somebody serves there.
        self.serves()
        for lines in ((), ("max_qoss 1",)):
            self.write("listener 0 127.0.0.1", *lines)
            before = time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000
            self.midge.signal(signal.SIGHUP)
            found = re.fullmatch(r"RELOADING=1\nMONOTONIC_USEC=(\d+)", manager.next())
            self.assertIsNotNone(found)
            self.assertLessEqual(before, int(found.group(1)))
            self.assertEqual("READY=1", manager.next())
            self.assertLessEqual(int(found.group(1)), time.clock_gettime_ns(time.CLOCK_MONOTONIC) // 1000)
        self.midge.wait_log("Reload failed, nothing was changed: .*max_qoss")
        self.stop()
        self.assertEqual(["STOPPING=1"], manager.waiting())

    def test_name_in_the_abstract_namespace(self):
        name = f"midge-test-{os.getpid()}"
        manager = self.manage(f"\0{name}")
        self.start_for(f"@{name}")
        self.assertEqual("READY=1", manager.next())

    def test_no_start_is_not_ready(self):
        manager = self.manage(self.socket_path)
        with socket.socket() as other:
            other.bind(("127.0.0.1", 0))
            other.listen()
            midge = Process([OPTIONS.midge, "-p", str(other.getsockname()[1])],
                            {**os.environ, "NOTIFY_SOCKET": self.socket_path})
            self.addCleanup(midge.kill)
            self.assertEqual(1, midge.end())
        self.assertEqual([], manager.waiting())

    def test_nobody_at_the_socket(self):
        for address in (self.socket_path, "relative", "@", "", "/" + "x" * 200):
            self.start_for(address, WATCHDOG_USEC="1000")
            self.serves()
            self.stop()


class TestWatchdog(Case):
    def test_a_loop_that_turns_feeds_it(self):
        manager = self.manage(self.socket_path)
        self.start_for(self.socket_path, WATCHDOG_USEC="20000")
        manager.until("READY=1")
        for _ in range(20):
            self.assertEqual("WATCHDOG=1", manager.next())
        self.serves()
        self.stop()
        self.assertLessEqual(set(manager.until("STOPPING=1")[:-1]), {"WATCHDOG=1"})

    def test_a_loop_that_hangs_does_not(self):
        manager = self.manage(self.socket_path)
        self.start_for(self.socket_path, WATCHDOG_USEC="20000")
        manager.until("WATCHDOG=1")
        self.midge.signal(signal.SIGSTOP)
        status = pathlib.Path(f"/proc/{self.midge.process.pid}/status")
        while not re.search(r"State:\s*T", status.read_text(encoding="ascii")):
            time.sleep(0.01)
        manager.waiting()
        time.sleep(0.2)  # ten times the interval
        self.assertEqual([], manager.waiting())
        self.midge.signal(signal.SIGCONT)
        self.assertEqual("WATCHDOG=1", manager.next())

    def test_only_the_process_that_is_meant(self):
        manager = self.manage(self.socket_path)
        self.start_for(self.socket_path, WATCHDOG_USEC="1000", WATCHDOG_PID="1")
        self.serves()
        self.stop()
        self.assertEqual(["READY=1", "STOPPING=1"], manager.waiting())

    def test_manager_that_does_not_read(self):
        """Its queue is full after a few messages. If the loop waited for room, each of its turns would take a second."""
        self.manage(self.socket_path)
        self.start_for(self.socket_path, WATCHDOG_USEC="1000")
        client = wire.connected(self.midge.address(), "somebody")
        deadline = time.monotonic() + 2 * DEADLINE_S
        for _ in range(4 * DEADLINE_S):
            client.ping()
            self.assertLess(time.monotonic(), deadline)
        client.cut()
        self.stop()


if __name__ == "__main__":
    case.main("midge")
