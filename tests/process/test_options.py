"""What each option of a configuration does to the running program, and what SIGHUP changes."""

import contextlib
import ctypes
import fcntl
import os
import pathlib
import re
import select
import signal
import socket
import subprocess
import termios
import time

import case
import fixture
import wire
from case import OPTIONS, Case, wait_until
from process import DEADLINE_S

PIDFD_GETFD = 438  # pidfd_getfd(2)
TCP_ESTABLISHED = 1


def wait_listening(pid):
    """Until it has set up its loop: SIGTERM is blocked then, and waits to be read."""
    status = pathlib.Path(f"/proc/{pid}/status")
    wait_until(lambda: int(re.search(r"SigBlk:\s*(\S+)", status.read_text(encoding="ascii")).group(1), 16) >> 14 & 1)


def other_end(midge, client):
    """A copy of the broker's own descriptor of this client's connection."""
    libc, process, here = ctypes.CDLL(None), os.pidfd_open(midge.process.pid), client.socket.getsockname()
    try:
        for link in pathlib.Path(f"/proc/{midge.process.pid}/fd").iterdir():
            if link.readlink().name.startswith("socket:"):
                found = socket.socket(fileno=libc.syscall(PIDFD_GETFD, process, int(link.name), 0))
                try:
                    if found.getpeername() == here:
                        return found
                except OSError:  # it listens
                    pass
                found.close()
    finally:
        os.close(process)
    raise AssertionError("midge has no such connection")


class TestListeners(Case):
    def ports(self):
        return [
            (found.group(1), int(found.group(2)))
            for found in (re.search(r"listening on (\S+) port (\d+)$", line) for line in self.midge.log)
            if found
        ]

    def test_several_listeners(self):
        self.start("listener 0 127.0.0.1", "socket_domain ipv4", "listener 0 127.0.0.2")
        self.midge.wait_log(r"listening on 127\.0\.0\.2 port")
        ports = self.ports()
        self.assertEqual(["127.0.0.1", "127.0.0.1", "127.0.0.2"], [address for address, _ in ports])
        sender = wire.connected(ports[0], "sender")
        for number, address in enumerate(ports):
            receiver = wire.connected(address, f"receiver-{number}")
            receiver.subscribe(("t", 0))
            sender.publish("t", "x", 1)
            self.assertEqual("t", receiver.receive_publish().topic)
            receiver.disconnect()
        sender.disconnect()

    def test_socket_domain(self):
        for domain, addresses in (("ipv4", {"0.0.0.0"}), ("ipv6", {"::"})):
            self.start(f"socket_domain {domain}", listener="listener 0")
            self.midge.wait_log("No client may connect there")
            self.assertEqual(addresses, {address for address, _ in self.ports()})

    def test_set_tcp_nodelay(self):
        """Seen at midge's own descriptor of the connection."""
        for value, expected in (("true", 1), ("false", 0)):
            self.start(f"set_tcp_nodelay {value}")
            with other_end(self.midge, self.client("c")) as found:
                self.assertEqual(expected, found.getsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY))

    def test_port_and_bind_address(self):
        for bound in ("127.0.0.1", "127.0.0.2"):
            port = fixture.free_port()
            self.start(f"port {port}", f"bind_address {bound}", listener=None)
            self.midge.wait_log(f"listening on {bound} port {port}$")
            self.assertEqual(1, len(self.ports()))
            self.assertEqual(0, self.raw((bound, port)).connect("c")[1])

    def test_include_dir(self):
        """What is included counts where it is included, in the order of its files; a wrong line names its own file."""
        included = self.folder / "conf.d"
        included.mkdir()
        (included / "b.conf").write_text("max_qos 0\n", encoding="ascii")
        (included / "a.conf").write_text("max_qos 1\nlimit_client_id_size 23\n", encoding="ascii")
        (included / "c.conf.old").write_text("nonsense\n", encoding="ascii")
        self.start("limit_client_id_size 30", f"include_dir {included}")
        self.assertEqual([0], self.client("x" * 23).subscribe(("t", 2)))
        self.assertEqual(2, self.code("x" * 24))
        (included / "b.conf").write_text("\nmax_qos 3\n", encoding="ascii")
        self.assertIn(f'midge: {included}/b.conf:2: option "max_qos": "3" is not valid; valid: 0 .. 2\n',
                      self.refused(f"include_dir {included}", status=2))

    def test_unix_socket(self):
        path = self.folder / "midge.sock"
        for _ in range(2):
            self.start(listener=f"listener 0 {path}")
            self.midge.wait_log(f"listening on {path}$")
            client = wire.Client(str(path))
            self.assertEqual(0, client.connect("local")[1])
            client.disconnect()
            self.midge.wait_log("New client connected from a local socket as local")
            self.midge.kill()  # leaves the socket behind, which must not be in the way of the next start
        self.start(listener=f"listener 0 {path}")
        self.midge.wait_log(f"listening on {path}$")
        self.assertIn("cannot listen on", self.refused(f"listener 0 {path}"))
        self.midge.signal(signal.SIGTERM)
        self.assertEqual(0, self.midge.end())
        self.assertFalse(path.exists())

    def test_per_listener_settings(self):
        self.start("per_listener_settings true", "listener 0 127.0.0.1", "allow_anonymous false", "listener 0 127.0.0.2",
                   "allow_anonymous true", listener=None)
        self.midge.wait_log(r"listening on 127\.0\.0\.2 port")
        codes = []
        for address in self.ports():
            codes.append(self.raw(address).connect("somebody")[1])
        self.assertEqual([5, 0], codes)

    def test_beyond_loopback_refuses_anonymous(self):
        self.start(listener="listener 0")
        found = re.search(r"port (\d+)", self.midge.wait_log(r"listening on 0\.0\.0\.0 port"))
        self.midge.wait_log("No client may connect there: .* allow_anonymous is not set")
        client = self.raw(("127.0.0.1", int(found.group(1))))
        self.assertEqual(5, client.connect("somebody", username="u", password="p")[1])

    def test_allow_anonymous(self):
        self.start("allow_anonymous false")
        self.assertEqual(5, self.code("somebody"))
        self.assertEqual(5, self.code("somebody", username="u", password="p"))
        self.midge.wait_log(r"Client somebody at 127\.0\.0\.1:\d+ refused with return code 5: .*allow_anonymous")

    def test_addresses_that_are_not_ours(self):
        for line, words in (
            ("listener 0 192.0.2.1", "cannot listen on 192.0.2.1 port 0: "),
            ("listener 0 no.such.host.invalid", "cannot listen on no.such.host.invalid: "),
        ):
            self.assertIn(words, self.refused(line))


class TestReports(Case):
    def test_sys(self):
        self.start("sys_interval 1")
        client = self.client("client")
        client.subscribe(("$SYS/#", 0))
        found = {}
        wanted = {"version", "uptime", "clients/total", "clients/connected", "clients/maximum", "messages/received",
                  "messages/sent", "messages/stored", "store/messages/bytes", "subscriptions/count", "retained messages/count",
                  "publish/messages/dropped", "publish/bytes/sent", "bytes/received", "load/messages/received/1min",
                  "load/connections/15min", "pools/blocks/used", "pools/blocks/capacity", "stalls/blocks"}
        # The retained values are those of the first round; what is awaited comes with the second.
        while not (wanted <= found.keys() and found["subscriptions/count"] == "1" and int(found["pools/blocks/used"]) > 0):
            message = client.receive_publish()
            self.assertTrue(message.topic.startswith("$SYS/broker/"))
            found[message.topic[len("$SYS/broker/"):]] = message.payload.decode()
        self.assertRegex(found["version"], r"^midge version \d")
        self.assertRegex(found["uptime"], r"^\d+ seconds$")
        self.assertEqual(("1", "1"), (found["clients/total"], found["clients/connected"]))

    def test_sys_interval_zero(self):
        self.start("sys_interval 0")
        client = self.client("client")
        client.subscribe(("$SYS/#", 0))
        self.assert_silent(client)

    def test_pid_file(self):
        pid = self.folder / "midge.pid"
        self.start(f"pid_file {pid}")
        self.midge.address()
        self.assertEqual(self.midge.process.pid, int(pid.read_text(encoding="ascii")))
        self.midge.signal(signal.SIGTERM)
        self.assertEqual(0, self.midge.end())
        self.assertFalse(pid.exists())

    def test_signal_of_who_has_just_read_the_pid_file(self):
        """It is not lost, and harms nobody: here the file is a pipe that is full, in which the number cannot be written yet."""
        pid = self.folder / "midge.pid"
        os.mkfifo(pid)
        end = os.open(pid, os.O_RDWR | os.O_NONBLOCK)
        self.addCleanup(os.close, end)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.write(end, bytes(4096))
        self.start(f"pid_file {pid}")

        def opened():
            with contextlib.suppress(OSError):  # they come and go
                return any(link.readlink() == pid for link in pathlib.Path(f"/proc/{self.midge.process.pid}/fd").iterdir())
            return False

        wait_until(opened)
        self.midge.signal(signal.SIGHUP)
        with contextlib.suppress(BlockingIOError):
            while True:
                os.read(end, 65536)
        self.midge.wait_log("Reload: the configuration was read again")

    def test_log_dest_file_and_timestamps(self):
        log = self.folder / "midge.log"
        self.start(f"log_dest file {log}", "log_dest stderr", "log_timestamp_format at %Y")
        wait_until(lambda: log.exists() and re.search(r"(?m)^at \d{4}: listening on", log.read_text(encoding="utf-8")))
        self.start("log_timestamp false")
        self.assertTrue(self.midge.wait_log("listening on").startswith("listening on"))
        self.start()
        self.assertRegex(self.midge.wait_log("listening on"), r"^\d{10}: listening on")

    def test_log_dest_stdout_and_none(self):
        for line, out in (("log_dest stdout", True), ("log_dest none", False)):
            self.write("listener 0 127.0.0.1", line)
            midge = subprocess.Popen([OPTIONS.midge, "-c", str(self.path)], stdout=subprocess.PIPE, stderr=subprocess.PIPE)
            try:
                if out:
                    self.assertIn(b"starts", midge.stdout.readline())
                    self.assertIn(b"listening on", midge.stdout.readline())
                else:
                    wait_listening(midge.pid)
                midge.send_signal(signal.SIGTERM)
                stdout, stderr = midge.communicate(timeout=DEADLINE_S)
            finally:
                midge.kill()
                midge.wait()
            self.assertEqual(b"", stderr)
            self.assertEqual(out, stdout != b"")

    def test_log_dest_syslog(self):
        """With a /dev/log of its own; one that goes is found again once it has come back."""
        made, path = self.folder / "dev", self.folder / "log"
        made.mkdir()
        script = (f"mount -t tmpfs tmpfs {made} && touch {made}/null && mount --bind /dev/null {made}/null && "
                  f"ln -s {path} {made}/log && mount --rbind {made} /dev && exec \"$@\"")
        alone = ("unshare", "--mount", *(() if os.geteuid() == 0 else ("--map-root-user",)))
        if subprocess.run([*alone, "true"], capture_output=True, check=False).returncode:
            self.skipTest("this user may not make namespaces")

        def listen():
            service = socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM)
            self.addCleanup(service.close)
            service.bind(str(path))
            service.settimeout(DEADLINE_S)
            return service

        service = listen()
        self.start("log_dest syslog", "log_dest stderr", "log_type all", command=(*alone, "sh", "-c", script, "sh"))
        # The facility daemon, and the severity of the line.
        self.assertRegex(service.recv(4096), rb"^<30>midge\[\d+\]: midge version \S+ starts\.$")
        self.assertRegex(service.recv(4096), rb"^<30>midge\[\d+\]: listening on 127\.0\.0\.1 port \d+$")
        service.close()
        path.unlink()
        self.code("", clean=False)
        self.midge.wait_log("refused with return code 2")
        service = listen()
        self.midge.signal(signal.SIGUSR1)
        while not (line := service.recv(4096)).endswith(b": audit: ok"):
            pass
        self.assertRegex(line, rb"^<29>midge\[")

    def test_log_type(self):
        self.start("log_type error", "log_type notice", f"pid_file {self.folder}/midge.pid")
        wait_until((self.folder / "midge.pid").exists)
        self.midge.signal(signal.SIGUSR1)
        self.midge.wait_log("audit: ok")
        self.assertEqual(1, len(self.midge.log))

    def test_log_type_debug_traces_packets(self):
        self.start("log_type all")
        self.client("talker").publish("t", "x", 1)
        self.midge.wait_log(r"Received PUBLISH from talker \(d0, q1, r0, m1, \"t\", \d+ bytes\)")
        self.midge.wait_log("Sending PUBACK to talker")

    def test_log_type_subscribe(self):
        self.start("log_type subscribe", "log_type unsubscribe", "log_type information", "max_qos 1")
        client = self.client("c")
        client.subscribe(("a/#", 2), ("b", 0))
        client.send(wire.packet(wire.UNSUBSCRIBE, 2, b"\0\7" + wire.text("b")))
        self.midge.wait_log(r'Client c at 127\.0\.0\.1:\d+ subscribed to "a/#" with QoS 1\.')
        self.midge.wait_log(r'Client c at \S+ subscribed to "b" with QoS 0\.')
        self.midge.wait_log(r'Client c at \S+ unsubscribed from "b"\.')
        self.assertFalse([line for line in self.midge.log if "New client" in line or "Received" in line])

    def test_log_dest_topic(self):
        self.start("log_dest topic", "log_dest stderr", "log_type all", "log_timestamp false")
        watcher = self.client("watcher")
        watcher.subscribe(("$SYS/broker/log/#", 0))
        self.client("other").subscribe(("x/y", 0))
        self.code("", clean=False)
        found = {}
        while not {"N", "M/subscribe"} <= found.keys() or "refused with return code 2" not in found["N"]:
            message = watcher.receive_publish()
            found[message.topic[len("$SYS/broker/log/"):]] = message.payload.decode()
        self.assertRegex(found["M/subscribe"], r'^Client \S+ at 127\.0\.0\.1:\d+ subscribed to "[^"]+" with QoS 0\.$')
        self.assertNotIn("D", found)

    def test_lines_that_peers_provoke_are_limited_and_counted(self):
        """All of these come in one turn of the loop."""
        self.start("max_queued_messages 1", "overflow_offline drop_newest")
        absent, sender = self.client("absent", clean=False), self.client("sender")
        absent.subscribe(("t", 1))
        absent.disconnect()
        self.midge.wait_log("Client absent .*disconnected")
        self.midge.signal(signal.SIGSTOP)
        sender.send(b"".join(wire.publish_packet("t", "", 1, number + 1) for number in range(5000)))
        self.midge.signal(signal.SIGCONT)
        line = self.midge.wait_log(r"\d+ lines suppressed: more than 1000 in 1000 ms")
        written = sum("Message for absent dropped" in line for line in self.midge.log)
        self.assertLessEqual(written, 1000)
        self.assertEqual(4999, written + int(re.search(r"(\d+) lines suppressed", line).group(1)))

    def test_connection_messages(self):
        self.start("connection_messages false", "max_qos 1")
        self.client("quiet").disconnect()
        self.start()
        self.client("loud").disconnect()
        self.midge.wait_log(r"New client connected from 127\.0\.0\.1:\d+ as loud \(new session, keep alive 0 s\)")
        self.midge.wait_log("Client loud at .* disconnected: client sent DISCONNECT")


class TestReload(Case):
    def test_what_changes_and_what_does_not(self):
        self.start("max_qos 2")
        client = self.client("client")
        self.assertEqual([2], client.subscribe(("t", 2)))
        self.write("listener 1 127.0.0.1", "listener 0 127.0.0.1", "max_qos 1", "global_max_connections 77")
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload: the configuration was read again")
        self.midge.wait_log("Reload: global_max_connections and limit_... change at the next start only")
        self.midge.wait_log("Reload: listeners .* at the next start only")
        self.assertEqual([1], client.subscribe(("t", 2)))
        self.write("listener 0 127.0.0.1", "max_qos 1", "allow_anonymous false")
        self.midge.signal(signal.SIGHUP)
        self.assertEqual([], client.expect_close())
        self.midge.wait_log("Client client at .* disconnected: it may not be here any more .*allow_anonymous")
        self.assertEqual(5, self.code("other"))
        self.write("per_listener_settings true", "listener 0 127.0.0.1", "allow_anonymous true")
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload failed, .*:1: option \"per_listener_settings\": it changes at the next start only")

    def test_a_wider_window_is_used_at_once(self):
        """A client that has nothing to acknowledge gets what waits for it."""
        self.start("max_inflight_messages 1")
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        for number in range(2):
            sender.publish("t", str(number), 1)
        self.assertEqual(b"0", receiver.receive_publish(acknowledge=False).payload)
        self.assert_silent(receiver)
        self.write("listener 0 127.0.0.1", "max_inflight_messages 2")
        self.midge.signal(signal.SIGHUP)
        self.assertEqual(b"1", receiver.receive_publish(acknowledge=False).payload)

    def test_a_bad_file_changes_nothing(self):
        self.start("max_qos 1")
        client = self.client("client")
        for number, line in enumerate(("max_qos 0\nmax_qoss 1", "max_qos 0\noverflow_offline disconnect"), 1):
            self.write("listener 0 127.0.0.1", line)
            self.midge.signal(signal.SIGHUP)
            error = self.midge.wait_log("Reload failed, nothing was changed", number)
            self.assertIn(f"{self.path}:3: option", error)
            self.assertEqual([1], client.subscribe(("t", 2)))

    def test_log_file_is_opened_anew(self):
        log, old = self.folder / "midge.log", self.folder / "old.log"
        self.start(f"log_dest file {log}", "log_dest stderr")
        self.midge.address()
        log.rename(old)
        self.midge.signal(signal.SIGHUP)
        wait_until(lambda: log.exists() and "was read again" in log.read_text(encoding="utf-8"))
        self.assertIn("listening on", old.read_text(encoding="utf-8"))

    def test_log_type_changes(self):
        self.start("log_type error")
        wait_listening(self.midge.process.pid)
        self.write("listener 0 127.0.0.1", "log_type all")
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload: the configuration was read again")
        self.assertEqual(1, len(self.midge.log))

    def test_sys_interval(self):
        self.start("sys_interval 0")
        client = self.client("client")
        client.subscribe(("$SYS/broker/uptime", 0))
        self.assert_silent(client)
        self.write("listener 0 127.0.0.1", "sys_interval 1")
        self.midge.signal(signal.SIGHUP)
        self.assertRegex(client.receive_publish().payload, rb"^\d+ seconds$")


class TestSockets(Case):
    def test_half_closed_peer_gets_its_answers(self):
        self.start()
        client = self.raw()
        client.send(wire.connect_packet("half") + wire.publish_packet("t", "x", 1, 7))
        client.socket.shutdown(socket.SHUT_WR)
        self.assertEqual([wire.CONNACK, wire.PUBACK], [packet.type for packet in client.expect_close()])

    def test_refusal_arrives_although_more_was_sent(self):
        """Input that is never read must not turn into a reset that destroys the CONNACK."""
        self.start("allow_anonymous false")
        for _ in range(20):
            client = self.raw()
            client.send(wire.connect_packet("eager") + wire.publish_packet("t", b"x" * 100000))
            self.assertEqual([b"\x00\x05"], [packet.body for packet in client.expect_close()])

    def test_close_timeout(self):
        """A client that has said DISCONNECT gets the answers that are due to it, if it takes them in time."""
        for timeout, waits in (("1h", True), ("100ms", False)):
            self.start(f"close_timeout {timeout}")
            other, silent = self.client("other"), wire.Client(self.midge.address(), receive_buffer=4096)
            self.addCleanup(silent.socket.close)
            silent.connect("silent")
            with other_end(self.midge, silent) as end:
                end.setsockopt(socket.SOL_SOCKET, socket.SO_SNDBUF, 1)
                before, unsent = -1, 0
                while before != unsent or select.select([], [end], [], 0)[1]:  # until the kernel takes no more
                    silent.send(wire.packet(wire.PINGREQ, 0) * 200)
                    other.ping()
                    other.ping()
                    before, unsent = unsent, fcntl.ioctl(end, termios.TIOCOUTQ, bytes(4))
                silent.send(wire.packet(wire.DISCONNECT, 0))
                self.midge.wait_log("Client silent .* disconnected: client sent DISCONNECT")
                self.assertEqual([], self.start_clock().expect_close())
                self.assertEqual(waits, end.getsockopt(socket.IPPROTO_TCP, socket.TCP_INFO, 1)[0] == TCP_ESTABLISHED)

    def test_reset_is_a_lost_connection(self):
        self.start()
        watcher = self.client("watcher")
        watcher.subscribe(("will", 0))
        self.client("lost", will=("will", "gone", 0, False)).reset()
        self.assertEqual(b"gone", watcher.receive_publish().payload)
        self.midge.wait_log("Client lost at .* disconnected: connection closed by client without DISCONNECT")

    def test_slow_reader_holds_the_publisher_back(self):
        """Far more than queues and buffers hold waits for a reader; nothing is lost and nothing is out of order."""
        self.start("max_queued_messages 10", "progress_timeout 60s", "overflow_wait 60s")
        reader = wire.Client(self.midge.address(), receive_buffer=262144)
        self.addCleanup(reader.socket.close)
        reader.connect("reader")
        reader.subscribe(("t", 1))
        writer = self.client("writer")
        count, payload = 4000, b"." * 4000
        pid = os.fork()
        if pid == 0:
            try:
                for number in range(count):
                    writer.socket.sendall(wire.publish_packet("t", b"%06d" % number + payload, 1, number + 1))
                writer.socket.shutdown(socket.SHUT_WR)
                while writer.socket.recv(65536):
                    pass
            finally:
                os._exit(0)
        try:
            time.sleep(1)  # until all buffers are full
            for number in range(count):
                self.assertEqual(b"%06d" % number, reader.receive_publish().payload[:6])
            os.waitpid(pid, 0)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise


if __name__ == "__main__":
    case.main("midge")
