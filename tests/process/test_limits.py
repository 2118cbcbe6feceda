"""What each limit does: how many may connect, how much is kept for them, and what is said when there is no more room."""

import os
import pathlib
import re
import resource
import signal
import time

import case
import wire
from case import OPTIONS, Case, run, wait_until

# For each option that sets memory aside: the row of the table of memory, and the value with which its number differs.
MEMORY = {
    "global_max_connections": ("connections", 100),
    "limit_handshakes": ("connections", 100),
    "limit_sessions": ("sessions", 20000),
    "limit_subscriptions": ("subscriptions", 100),
    "limit_filter_nodes": ("filter nodes", 100),
    "limit_topic_nodes": ("topic nodes", 100),
    "limit_names": ("names", 100),
    "limit_name_size": ("names", 32),
    "limit_deliveries": ("deliveries", 100),
    "limit_qos2_identifiers": ("QoS 2 identifiers", 100),
    "limit_blocks": ("blocks", 100000),
    "limit_block_size": ("blocks", 512),
    "limit_replies": ("replies", 16),
    "limit_scratch_size": ("scratch", 1000),
    "limit_topic_levels": ("match stack", 50),
    "limit_users": ("users", 10),
    "limit_rights": ("rules", 10),
    "limit_logins": ("logins", 10),
    "limit_identity_size": ("identities", 100),
}


class TestMemory(Case):
    def table(self, *lines):
        """What --memory prints: for each row its count, and the bytes of one."""
        self.write(*lines)
        output = run(OPTIONS.midge, "-c", self.path, "--memory").stdout
        rows = re.findall(r"^(\S.*?) +(\d+) +(\d+) +\d+$", output, re.M)
        return {name: (int(count), int(each)) for name, count, each in rows}

    def test_what_each_limit_costs(self):
        usual = self.table()
        for option, (row, value) in MEMORY.items():
            changed = self.table(f"{option} {value}")
            self.assertNotEqual(usual[row], changed[row], option)
            if option.endswith("_size") and row != "scratch":
                self.assertEqual(usual[row][0] if row != "blocks" else usual[row][0] // 2, changed[row][0], option)

    def test_all_limits_are_known(self):
        options = re.findall(r"^limit_\w+", run(OPTIONS.midge, "--options").stdout, re.M)
        elsewhere = {"limit_client_id_size", "limit_retained_messages", "limit_retained_bytes", "limit_tls_memory"}  # no pool
        self.assertLessEqual(set(options) - elsewhere, set(MEMORY))


class TestTests(Case):
    def test_each_option_has_a_test(self):
        """One at least that names it, beside the table of what it costs."""
        tests = pathlib.Path(__file__).resolve().parents[1]
        text = "".join(path.read_text(encoding="utf-8") for room in ("process", "tls", "service")
                       for path in sorted((tests / room).glob("*.py")))
        named = set(re.findall(r"\w+", re.sub(r"(?ms)^MEMORY = \{.*?^\}", "", text)))
        options = set(re.findall(r"(?m)^(\w+)  \(", run(OPTIONS.midge, "--options").stdout))
        self.assertGreater(len(options), 80)
        self.assertEqual(set(), options - named)


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
        self.start("connect_timeout 1h")
        early = self.raw()
        self.client("another").ping()
        self.write("listener 0 127.0.0.1", "connect_timeout 100ms")
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload: the configuration was read again")
        self.assertEqual([], self.raw().expect_close())
        self.midge.wait_log("Client <unknown> at .* disconnected: sent no CONNECT in time .*connect_timeout")
        self.assertEqual(0, early.connect("early")[1])

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

    def test_limits_of_the_index_of_subscriptions(self):
        for line in ("limit_filter_nodes 2", "limit_names 8"):
            self.start(line, "sys_interval 0")
            codes = self.client("c").subscribe(*[(f"a-level-of-more-than-12-bytes-{number}/b", 0) for number in range(4)])
            self.assertEqual((0, 0x80), (codes[0], codes[-1]), line)
            self.midge.wait_log(f"was refused the subscription to .*: no room for the subscription .*{line.split()[0]}")

    def kept(self, *lines):
        """Which of three retained messages are kept."""
        self.start(*lines, "sys_interval 0")
        sender, receiver = self.client("sender"), self.client("receiver")
        for number in range(3):
            sender.publish(f"t/{number}", "x" * 100, 1, retain=True)
        receiver.subscribe(("#", 0))
        receiver.send(wire.packet(wire.PINGREQ, 0))
        count = 0
        while receiver.receive().type == wire.PUBLISH:
            count += 1
        return count

    def test_limits_of_what_is_retained(self):
        self.assertEqual(3, self.kept())
        for line, count in (("limit_topic_nodes 3", 2), ("limit_retained_bytes 250", 2), ("limit_retained_messages 1", 1)):
            self.assertEqual(count, self.kept(line), line)
            self.midge.wait_log(f"no room to retain the message .*{line.split()[0]}")

    def test_limit_qos2_identifiers(self):
        self.start("limit_qos2_identifiers 1")
        client = self.client("c")
        for number in range(2):  # what is released makes room
            client.send(wire.publish_packet("t", "x", 2, number + 1))
            self.assertEqual(wire.PUBREC, client.receive().type)
            client.send(wire.packet(wire.PUBREL, 2, bytes((0, number + 1))))
            self.assertEqual(wire.PUBCOMP, client.receive().type)
        client.send(wire.publish_packet("t", "x", 2, 3))
        self.assertEqual(wire.PUBREC, client.receive().type)
        client.send(wire.publish_packet("t", "x", 2, 4))
        self.assertEqual([], client.expect_close())
        self.midge.wait_log("limit_qos2_identifiers")

    def test_limit_scratch_size(self):
        """Strings of a CONNECT that comes in parts are put together there."""
        packet = wire.connect_packet("c" * 100, username="u" * 100, password="p" * 100)
        for size, answered in ((64, False), (4096, True)):
            self.start(f"limit_scratch_size {size}", "allow_anonymous true")
            client = self.raw()
            client.send(packet[:150])
            self.client("another").ping()
            client.send(packet[150:])
            if answered:
                self.assertEqual(wire.CONNACK, client.receive().type)
            else:
                self.assertEqual([], client.expect_close())
                self.midge.wait_log("limit_scratch_size")

    def test_limit_deliveries(self):
        """With one for all, messages reach a subscriber one by one, and the publisher waits."""
        self.start("limit_deliveries 1", "max_inflight_messages 10", "overflow_wait 10min", "progress_timeout 10min")
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        sender.send(b"".join(wire.publish_packet("t", str(number), 1, number + 1) for number in range(5)))
        for number in range(5):
            message = receiver.receive_publish(acknowledge=False)
            self.assertEqual(str(number).encode(), message.payload)
            self.assert_silent(receiver)
            receiver.acknowledge(message)
        self.assertEqual([wire.PUBACK] * 5, [sender.receive().type for _ in range(5)])

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
        while True:
            receiver.ping()
            receiver.ping()  # the first may have been answered before the message that follows an acknowledgement
            if not receiver.held:
                return got
            got.append(int(receiver.receive_publish().payload[:1]))

    def test_max_queued_messages_and_overflow_offline(self):
        newest = self.offline("max_queued_messages 4", "overflow_offline drop_newest")
        self.assertEqual([0, 1, 2, 3], newest)
        self.midge.wait_log("Message for receiver dropped, topic \"t\", payload of 100 bytes: .*queue")
        oldest = self.offline("max_queued_messages 4", "overflow_offline drop_oldest")
        self.assertEqual([6, 7, 8, 9], oldest)

    def test_max_queued_bytes(self):
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


class TestOverflow(Case):
    """A subscriber that does not keep up, and what becomes of its messages, by policy."""

    # Whichever of the two is over first decides.
    WAITS = (("overflow_wait 50ms", "progress_timeout 24h"), ("overflow_wait 24h", "progress_timeout 50ms"))

    def behind(self, *lines):
        """One message is on its way, two are queued, and three more come."""
        self.start("max_inflight_messages 1", "max_queued_messages 2", *lines)
        self.receiver, self.sender = self.client("receiver"), self.client("sender")
        self.receiver.subscribe(("t", 1))
        self.sender.send(b"".join(wire.publish_packet("t", str(number), 1, number + 1) for number in range(6)))
        self.start_clock()

    def test_overflow_qos12_that_drops(self):
        for waits in self.WAITS:
            for policy, expected, words in (("drop_newest", [0, 1, 2], "queue full "), ("drop_oldest", [0, 4, 5], "oldest ")):
                self.behind(f"overflow_qos12 {policy}", *waits)
                self.assertEqual([wire.PUBACK] * 6, [self.sender.receive().type for _ in range(6)])
                self.assertEqual(expected, [int(self.receiver.receive_publish().payload) for _ in range(3)])
                self.assert_silent(self.receiver)
                self.wait_log_before_clock(f'Message for receiver dropped, topic "t", payload of 1 bytes: {words}')

    def test_overflow_qos12_that_disconnects(self):
        self.behind("overflow_qos12 disconnect", *self.WAITS[0])
        self.assertEqual([wire.PUBACK] * 6, [self.sender.receive().type for _ in range(6)])
        self.assertEqual([wire.PUBLISH], [packet.type for packet in self.receiver.expect_close()])
        self.wait_log_before_clock("Client receiver .* disconnected: queue full and reads too slowly .*overflow_qos12")
        self.behind("overflow_qos12 refuse", *self.WAITS[0])
        self.assertLessEqual([packet.type for packet in self.sender.expect_close()], [wire.PUBACK] * 3)
        self.midge.wait_log("Client sender .* disconnected: a subscriber's queue is full and the policy is to refuse")
        self.assertEqual([0, 1, 2], [int(self.receiver.receive_publish().payload) for _ in range(3)])

    def test_overflow_qos0(self):
        """More than the kernel takes for a receiver that does not read."""
        for policy, words in (("drop_newest", "Message for receiver dropped, .*: queue full"),
                              ("drop_oldest", "Message for receiver dropped, .*: oldest message made room"),
                              ("disconnect", "Client receiver at .* disconnected: queue full and reads too slowly")):
            self.start(f"overflow_qos0 {policy}", "max_queued_messages 5", *self.WAITS[0])
            receiver = wire.Client(self.midge.address(), receive_buffer=4096)
            self.addCleanup(receiver.socket.close)
            receiver.connect("receiver")
            receiver.subscribe(("t", 0))
            sender = self.client("sender")
            for _ in range(100):
                sender.publish("t", b"x" * 100000)
            sender.ping()
            self.midge.wait_log(words)

    def test_assembly_timeout(self):
        """A packet that stands half-sent does not keep the blocks that others need."""
        self.start("limit_blocks 64", "max_packet_size 7000", "assembly_timeout 100ms", "sys_interval 0")
        packet = wire.publish_packet("t", b"x" * 6000, 1, 1)
        half, other, third = self.client("half"), self.client("other"), self.client("third")
        for client in (half, other):
            client.send(packet[:3000])
            third.ping()
        self.start_clock()
        self.assertEqual([], half.expect_close())
        other.send(packet[3000:])
        self.assertEqual(wire.PUBACK, other.receive().type)
        self.wait_log_before_clock("Client half at .* disconnected: held a half-sent packet while others waited "
                                   ".*assembly_timeout")


class TestRates(Case):
    def test_input_that_waited_while_midge_stood_still(self):
        """Who sent more than may pass at once is not silent, however long nobody read it."""
        self.start("max_byte_rate 1000")
        receiver, sender = self.client("receiver"), self.raw()
        receiver.subscribe(("t", 0))
        burst = b"".join(wire.publish_packet("t", f"{number:095}") for number in range(30))
        sender.send(wire.connect_packet("sender", keepalive=4) + burst)
        self.assertEqual(0, int(receiver.receive_publish().payload))
        receiver.ping()  # the turn in which the sender has come is over
        self.midge.signal(signal.SIGSTOP)
        time.sleep(8)
        self.midge.signal(signal.SIGCONT)
        self.assertEqual(list(range(1, 30)), [int(receiver.receive_publish().payload) for _ in range(29)])


class TestPools(Case):
    """What happens when a pool has run out: who is told what, and which options the log names."""

    PACKET = wire.publish_packet("t", b"x" * 6000, 1, 1)

    @staticmethod
    def code_of(client, name, will):
        return client.connect(name, will=will)[1]

    def test_limit_names(self):
        """A client identifier needs chunks; longer chunks hold more."""
        self.start("limit_names 8", "sys_interval 0")
        self.assertEqual([3, 0], [self.code("x" * size) for size in (200, 20)])
        self.midge.wait_log("Client x+ at .* refused with return code 3: no room for the client identifier .*limit_names")
        self.start("limit_names 8", "limit_name_size 256", "sys_interval 0")
        self.assertEqual(0, self.code("x" * 200))

    def test_limit_block_size(self):
        """Of as many blocks, half have to hold a packet."""
        for size, accepted in ((64, False), (256, True)):
            self.start("limit_blocks 16", f"limit_block_size {size}", "sys_interval 0")
            client = self.client("c")
            client.send(wire.publish_packet("some/topic", "x" * 1000, 1, 1))
            if accepted:
                self.assertEqual(wire.PUBACK, client.receive().type)
            else:
                self.assertEqual([], client.expect_close())
                self.midge.wait_log(r'Client c at .* packet too large: 1017 where \d+ is the limit, topic "some/topic" '
                                    ".*limit_blocks")

    def test_limit_blocks_and_a_will(self):
        self.start("limit_blocks 16", "sys_interval 0")
        will = ("w", "x" * 1200, 0, False)
        first, number = self.client("first", will=will), 0
        while self.code_of(client := self.raw(), f"c{number}", will) == 0:
            number += 1
        self.assertEqual([], client.expect_close())
        self.midge.wait_log(r"Client c\d at .* refused with return code 3: no room for the will .*limit_blocks")
        first.disconnect()
        self.midge.wait_log("Client first .*disconnected")
        self.assertEqual(0, self.code("last", will=will))

    def test_limit_blocks_and_a_retained_message(self):
        self.start("limit_blocks 64", "max_packet_size 4000", "sys_interval 0")
        sender, watcher = self.client("sender"), self.client("watcher")
        watcher.subscribe(("#", 1))
        for number in range(8):  # all of them are delivered, whether they are retained or not
            sender.publish(f"t/{number}", "x" * 3000, 1, retain=True)
            self.assertEqual(f"t/{number}", watcher.receive_publish().topic)
        self.midge.wait_log(r'topic "t/\d", payload of 3000 bytes: no room to retain the message .*limit_blocks')

    def test_limit_blocks_and_packets_in_parts(self):
        """Where others hold the blocks for too long, a QoS 1 message costs the connection, one of QoS 0 only itself."""
        self.start("limit_blocks 64", "max_packet_size 7000", "assembly_timeout 1h", "overflow_wait 50ms", "sys_interval 0")
        half, reliable, careless = self.client("half"), self.client("reliable"), self.client("careless")
        half.send(self.PACKET[:3000])
        self.client("another").ping()
        reliable.send(self.PACKET[:3000])
        self.assertEqual([], reliable.expect_close())
        self.midge.wait_log("Client reliable at .* disconnected: waited too long for room for its PUBLISH "
                            ".*overflow_wait, limit_blocks")
        whole = wire.publish_packet("t", b"x" * 6000)
        careless.send(whole[:3000])
        self.midge.wait_log("Message from careless dropped, payload of 6003 bytes: no room for a QoS 0 message in time "
                            ".*overflow_wait, limit_blocks")
        careless.send(whole[3000:])
        careless.ping()
        half.send(self.PACKET[3000:])
        self.assertEqual(wire.PUBACK, half.receive().type)

    def test_limit_deliveries(self):
        """Who does not acknowledge holds them; what finds none is lost by the policy, and the publisher goes on."""
        self.start("limit_deliveries 2", "overflow_qos12 drop_newest", "overflow_wait 50ms", "sys_interval 0")
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        for number in range(4):
            sender.publish("t", str(number), 1)
        self.midge.wait_log('Message for receiver dropped, topic "t", payload of 1 bytes: queue full .*limit_deliveries')
        first = receiver.receive_publish(acknowledge=False)
        self.assertEqual(b"0", first.payload)

    def test_limit_replies(self):
        """Where there is no place for another acknowledgement, input waits until some are sent."""
        packets = b"".join(wire.publish_packet("t", "", 1, number) for number in range(60, 0, -2))  # no two form a run
        for replies, waits in ((4, True), (64, False)):
            self.start(f"limit_replies {replies}", "sys_interval 1")
            client, watcher = self.client("c"), self.client("watcher")
            client.send(packets)
            self.assertEqual(list(range(60, 0, -2)), [client.receive().body[1] for _ in range(30)])
            wait_until(lambda: int(self.sys_value(watcher, "publish/messages/received")) == 30)
            self.assertEqual(waits, int(self.sys_value(self.client("late"), "stalls/replies")) > 0)


if __name__ == "__main__":
    case.main("midge")
