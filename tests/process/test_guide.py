"""The loop of the porting guide, as a program, serves clients."""

import argparse
import pathlib
import sys
import unittest

from process import Process

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import wire  # noqa: E402

OPTIONS = None


class TestGuide(unittest.TestCase):
    def setUp(self):
        self.port = Process([OPTIONS.program])
        self.addCleanup(self.port.kill)
        self.address = self.port.address()

    def client(self, name, **options):
        client = wire.connected(self.address, name, **options)
        self.addCleanup(client.socket.close)
        return client

    def test_messages_go_through_at_each_qos(self):
        receiver, sender = self.client("receiver"), self.client("sender")
        self.assertEqual([2], receiver.subscribe(("#", 2)))
        for qos in (0, 1, 2):
            sender.publish(f"topic/{qos}", b"x" * 1500, qos)
            message = receiver.receive_publish()
            self.assertEqual((f"topic/{qos}", 1500, qos), (message.topic, len(message.payload), message.qos))

    def test_a_flood_is_held_back_and_loses_nothing(self):
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        count = 2000
        for number in range(count):
            sender.socket.sendall(wire.publish_packet("t", str(number), 1, number % 60000 + 1))
            if number % 4 == 3:
                for expected in range(number - 3, number + 1):
                    self.assertEqual(str(expected), receiver.receive_publish().payload.decode())

    def test_ends_are_noticed(self):
        watcher, clean = self.client("watcher"), self.client("clean", will=("will", "clean", 0, False))
        watcher.subscribe(("will", 0))
        lost = self.client("lost", will=("will", "lost", 0, False))
        clean.disconnect()
        lost.cut()
        self.assertEqual(b"lost", watcher.receive_publish().payload)

    def test_a_wrong_packet_costs_only_its_sender(self):
        bad, good = self.client("bad"), self.client("good")
        bad.send(b"\x00\x00")
        bad.expect_close()
        good.ping()

    def test_more_clients_than_there_is_room_for(self):
        clients = [self.client(f"client-{i}") for i in range(16)]
        late = wire.Client(self.address)
        self.addCleanup(late.socket.close)
        self.assertEqual((0, 3), late.connect("late"))
        clients[0].disconnect()
        clients[1].ping()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--program", required=True)
    OPTIONS, rest = parser.parse_known_args()
    unittest.main(argv=[sys.argv[0], *rest], verbosity=2)
