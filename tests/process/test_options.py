"""What each option of a configuration does to the running program, and what SIGHUP changes."""

import argparse
import os
import pathlib
import re
import resource
import signal
import socket
import subprocess
import sys
import time
import unittest

from process import DEADLINE_S, FolderCase, Process

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import wire  # noqa: E402

OPTIONS = None


def wait_until(condition):
    """Waits for what no line of the log announces."""
    deadline = time.monotonic() + DEADLINE_S
    while not condition():
        if time.monotonic() > deadline:
            raise AssertionError("it did not happen in time")
        time.sleep(0.01)


class Case(FolderCase):
    def write(self, *lines):
        """Root stays root, or else only a capability would let the test look at its descriptors."""
        super().write(*lines, "user root")

    def start(self, *lines, listener="listener 0 127.0.0.1", command=()):
        """Midge with this configuration."""
        self.write(*([listener] if listener else []), *lines)
        midge = Process([*command, OPTIONS.midge, "-c", str(self.path)])
        self.addCleanup(midge.kill)
        self.midge = midge
        return midge

    def refused(self, *lines):
        """The line with which midge refuses to start with this configuration."""
        self.write(*lines)
        result = subprocess.run([OPTIONS.midge, "-c", str(self.path)], capture_output=True, text=True, timeout=DEADLINE_S,
                                check=False)
        self.assertNotEqual(0, result.returncode)
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        return result.stderr

    def raw(self, address=None):
        client = wire.Client(address or self.midge.address())
        self.addCleanup(client.socket.close)
        return client

    def client(self, name, **options):
        client = self.raw()
        self.assertEqual(0, client.connect(name, **options)[1])
        return client

    def code(self, name, **options):
        """The return code of this client's CONNACK."""
        client = self.raw()
        code = client.connect(name, **options)[1]
        if code:
            self.assertEqual([], client.expect_close())
        return code

    def assert_silent(self, client):
        """No message is on its way: it would come before the PINGRESP."""
        client.ping()
        self.assertEqual(0, len(client.held))


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

    def test_port_and_bind_address(self):
        self.start("port 0", "bind_address 127.0.0.1", listener=None)
        self.midge.address()
        self.assertEqual(1, len(self.ports()))

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


class TestWhoConnects(Case):
    def client_soon(self, name):
        """Connects, as soon as the place of a connection that is just being closed is free."""
        deadline = time.monotonic() + 20
        while True:
            try:
                return self.client(name)
            except wire.Closed:
                if time.monotonic() > deadline:
                    raise

    def test_max_connections(self):
        self.start("max_connections 2", "limit_handshakes 1")
        first, _ = self.client("first"), self.client("second")
        self.assertEqual(3, self.code("third"))
        self.midge.wait_log("Client third .*refused with return code 3: too many clients .*max_connections")
        self.client("first")
        first.expect_close()

    def test_more_connections_than_slots(self):
        """A peer for which there is not even a place to be refused in is closed, and the next one may come again."""
        self.start("max_connections 1", "limit_handshakes 1")
        silent = [self.raw() for _ in range(2)]
        self.assertEqual([], self.raw().expect_close())
        self.midge.wait_log("Connection refused: all connections are in use .*max_connections, limit_handshakes")
        self.assertEqual([], silent[0].expect_close())
        self.midge.wait_log("sent no CONNECT while others wanted to connect .*limit_handshakes")
        self.client_soon("first")

    def test_no_more_files(self):
        """Without descriptors new peers are turned away; the others do not notice, and later ones come in again."""
        self.start()
        early = self.client("early")
        used = len(os.listdir(f"/proc/{self.midge.process.pid}/fd"))
        resource.prlimit(self.midge.process.pid, resource.RLIMIT_NOFILE, (used + 2, used + 2))
        filling = [self.client(f"client-{i}") for i in range(2)]
        for _ in range(5):
            self.assertEqual([], self.raw().expect_close())
        self.midge.wait_log("Connection refused: no more open files")
        early.ping()
        filling[0].disconnect()
        self.client("late").ping()

    def test_connect_timeout(self):
        self.start("connect_timeout 100ms")
        self.assertEqual([], self.raw().expect_close())
        self.midge.wait_log("Client <unknown> at .* disconnected: sent no CONNECT in time .*connect_timeout")

    def test_allow_zero_length_clientid(self):
        self.start()
        self.assertEqual(0, self.code(""))
        self.assertEqual(2, self.code("", clean=False))
        self.start("allow_zero_length_clientid false")
        self.assertEqual(2, self.code(""))

    def test_limit_client_id_size(self):
        self.start("limit_client_id_size 30")
        self.assertEqual(0, self.code("x" * 30))
        self.assertEqual(2, self.code("x" * 31))
        self.midge.wait_log("limit_client_id_size")

    def test_limit_sessions(self):
        for evict, code in (("true", 0), ("false", 3)):
            self.start("max_connections 1", "limit_sessions 1", f"evict_sessions {evict}")
            absent = self.client("absent", clean=False)
            absent.disconnect()
            self.midge.wait_log("Client absent .*disconnected")
            self.assertEqual(code, self.code("next"))
            self.midge.wait_log("Session of absent removed" if code == 0 else "refused .*limit_sessions")


class TestMessages(Case):
    def test_message_size_limit(self):
        self.start("message_size_limit 1000")
        client = self.client("client")
        client.publish("t", b"x" * 1000, 1)
        client.send(wire.publish_packet("t", b"x" * 70000))
        client.expect_close()
        self.midge.wait_log(r"packet too large: 700\d\d where 66544 is the limit")

    def test_max_qos(self):
        self.start("max_qos 1")
        self.assertEqual([0, 1, 1], self.client("client").subscribe(("a", 0), ("b", 1), ("c", 2)))

    def test_limit_subscriptions(self):
        self.start("limit_subscriptions 1")
        self.assertEqual([0, 0x80], self.client("client").subscribe(("a", 0), ("b", 0)))
        self.midge.wait_log("Client client at .* was refused the subscription to \"b\": .*limit_subscriptions")

    def test_limit_topic_levels(self):
        self.start("limit_topic_levels 3")
        client = self.client("client")
        client.publish("a/b/c", "", 1)
        client.send(wire.publish_packet("a/b/c/d", ""))
        client.expect_close()
        self.midge.wait_log("limit_topic_levels")

    def test_max_inflight_messages(self):
        self.start("max_inflight_messages 3")
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        for number in range(5):
            sender.publish("t", str(number), 1)
        messages = [receiver.receive_publish(acknowledge=False) for _ in range(3)]
        self.assert_silent(receiver)
        receiver.acknowledge(messages[0])
        self.assertEqual(b"3", receiver.receive_publish(acknowledge=False).payload)
        self.assert_silent(receiver)

    def offline(self, *lines):
        """What an absent client gets of ten messages."""
        self.start("max_inflight_messages 1", *lines)
        receiver = self.client("receiver", clean=False)
        receiver.subscribe(("t", 1))
        receiver.disconnect()
        self.midge.wait_log("Client receiver .*disconnected")
        sender = self.client("sender")
        for number in range(10):
            sender.publish("t", str(number) * 100, 1)
        receiver = self.client("receiver", clean=False)
        got = []
        receiver.send(wire.packet(wire.PINGREQ, 0))
        while True:
            found = receiver.receive()
            if found.type == wire.PINGRESP and len(got) == self.expected:
                return got
            if found.type == wire.PUBLISH:
                message = receiver._message(found)
                receiver.acknowledge(message)
                got.append(int(message.payload[:1]))
            if found.type == wire.PINGRESP or len(got) == self.expected:
                receiver.send(wire.packet(wire.PINGREQ, 0))

    def test_max_queued_messages_and_overflow_offline(self):
        self.expected = 4
        newest = self.offline("max_queued_messages 4", "overflow_offline drop_newest")
        self.assertEqual([0, 1, 2, 3], newest[:4])
        self.midge.wait_log("Message for receiver dropped, topic \"t\", payload of 100 bytes: .*queue")
        oldest = self.offline("max_queued_messages 4", "overflow_offline drop_oldest")
        self.assertEqual([6, 7, 8, 9], oldest[-4:])

    def test_max_queued_bytes(self):
        self.expected = 3
        self.assertEqual([0, 1, 2], self.offline("max_queued_bytes 350", "overflow_offline drop_newest"))

    def test_queue_qos0_messages(self):
        for queued in (False, True):
            self.start(f"queue_qos0_messages {str(queued).lower()}")
            receiver = self.client("receiver", clean=False)
            receiver.subscribe(("t", 0))
            receiver.disconnect()
            self.midge.wait_log("Client receiver .*disconnected")
            sender = self.client("sender")
            sender.publish("t", "x")
            sender.ping()
            receiver = self.client("receiver", clean=False)
            if queued:
                self.assertEqual(b"x", receiver.receive_publish().payload)
            self.assert_silent(receiver)

    def test_retain_available(self):
        self.start("retain_available false")
        self.client("sender").publish("t", "x", 1, retain=True)
        receiver = self.client("receiver")
        receiver.subscribe(("t", 0))
        self.assert_silent(receiver)

    def test_limit_retained_messages(self):
        self.start("limit_retained_messages 2", "sys_interval 0")
        sender = self.client("sender")
        for topic in ("a", "b", "c"):
            sender.publish(topic, "x", 1, retain=True)
        receiver = self.client("receiver")
        receiver.subscribe(("#", 0))
        self.assertEqual({"a", "b"}, {receiver.receive_publish().topic for _ in range(2)})
        self.assert_silent(receiver)

    def test_persistent_client_expiration(self):
        self.start("persistent_client_expiration 1s")
        client = self.client("client", clean=False)
        client.subscribe(("t", 1))
        client.disconnect()
        self.midge.wait_log("Session of client removed with 0 undelivered messages: session expired")
        self.assertEqual((0, 0), self.raw().connect("client", clean=False))


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
                    self.wait_listening(midge.pid)
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

    @staticmethod
    def wait_listening(pid):
        """Until it has set up its loop: SIGTERM is blocked then, and waits to be read."""
        status = pathlib.Path(f"/proc/{pid}/status")
        wait_until(lambda: int(re.search(r"SigBlk:\s*(\S+)", status.read_text(encoding="ascii")).group(1), 16) >> 14 & 1)

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

    def test_reset_is_a_lost_connection(self):
        self.start()
        watcher = self.client("watcher")
        watcher.subscribe(("will", 0))
        self.client("lost", will=("will", "gone", 0, False)).reset()
        self.assertEqual(b"gone", watcher.receive_publish().payload)
        self.midge.wait_log("Client lost at .* disconnected: connection closed by client without DISCONNECT")

    def test_slow_reader_holds_the_publisher_back(self):
        """Far more than the queues hold goes through a small window; nothing is lost and nothing is out of order."""
        self.start("max_queued_messages 10", "progress_timeout 60s", "overflow_wait 60s")
        reader = wire.Client(self.midge.address(), receive_buffer=4096)
        self.addCleanup(reader.socket.close)
        reader.connect("reader")
        reader.subscribe(("t", 1))
        writer = self.client("writer")
        count, payload = 3000, b"." * 1000
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
            for number in range(count):
                self.assertEqual(b"%06d" % number, reader.receive_publish().payload[:6])
            os.waitpid(pid, 0)
        except BaseException:
            os.kill(pid, signal.SIGKILL)
            os.waitpid(pid, 0)
            raise

    def test_many_lines_are_limited_and_counted(self):
        self.start("log_timestamp false")
        address = self.midge.address()
        for _ in range(1500):
            with socket.create_connection(address) as peer:
                peer.sendall(b"\x00\x00")
                peer.recv(10)
        lines = [line for line in self.midge.log if "disconnected" in line]
        left_out = sum(int(line.split()[0]) for line in self.midge.log if "lines suppressed" in line)
        self.assertGreater(len(lines), 900)
        self.assertLessEqual(len(lines) + left_out, 1500)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--midge", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
