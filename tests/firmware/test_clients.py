"""As many clients as the board has room for publish and subscribe at once for a minute; one more is refused cleanly.

    test_clients.py BOARD [--seconds S] [--peers N] [--rate R] [--seed S]
"""

import argparse
import collections
import random
import selectors
import time

import board
import wire

# Each client has one message of QoS 1 or 2 under way, of at most this many bytes: what the smallest board can hold for all of
# them together. More would be an overload, which ends some connections by the overflow policy.
PAYLOAD_SIZES = (0, 8, 32, 120, 400)

# Messages a second of each client, at most, where board.cmake does not say that the emulator bears less.
RATE = 100


class Peer:
    """A client that publishes to its own topic and subscribes to two others', at QoS 0, 1 and 2 in turn."""

    def __init__(self, one, number, count):
        self.number = number
        self.client = one.client(f"peer-{number}", clean=True, keepalive=600,
                                 will=(f"will/{number}", f"peer {number} is gone", 1, False))
        self.sent = collections.Counter()  # by QoS
        self.unacknowledged = set()
        self.got = {}  # (publisher, qos): the last number
        self.count = collections.Counter()
        self.due = time.monotonic()
        codes = self.client.subscribe((f"load/{(number + 1) % count}/+", 2), (f"load/{(number + 2) % count}/#", 2))
        board.expect(codes == [2, 2], f"subscribing gave {codes}")

    def publish(self, chance, rate):
        """Where it is time to, and the last message is acknowledged."""
        if self.unacknowledged or time.monotonic() < self.due:
            return
        self.due = time.monotonic() + chance.expovariate(rate)
        qos = chance.randrange(3)
        self.sent[qos] += 1
        packet_id = self.client.identifier() if qos else 0
        if qos:
            self.unacknowledged.add(packet_id)
        payload = f"{self.sent[qos]} ".encode() + b"x" * chance.choice(PAYLOAD_SIZES)
        self.client.send(wire.publish_packet(f"load/{self.number}/q{qos}", payload, qos, packet_id))

    def handle(self, found):
        if found.type == wire.PUBLISH:
            message = self.client._message(found)
            publisher, qos = int(message.topic.split("/")[1]), int(message.topic[-1])
            number = int(message.payload.split(b" ")[0])
            last = self.got.get((publisher, qos), 0)
            if qos > 0:
                board.expect(number == last + 1, f"{message.topic}: {number} after {last}")
            else:
                board.expect(number > last, f"{message.topic}: {number} after {last}")
            self.got[publisher, qos] = number
            self.count[qos] += 1
            self.client.acknowledge(message)
        elif found.type in (wire.PUBACK, wire.PUBCOMP):
            self.unacknowledged.remove(int.from_bytes(found.body[:2], "big"))
        elif found.type == wire.PUBREC:
            self.client.send(wire.packet(wire.PUBREL, 2, found.body[:2]))
        elif found.type == wire.PUBREL:
            self.client.send(wire.packet(wire.PUBCOMP, 0, found.body[:2]))
        else:
            raise board.Failure(f"peer {self.number} got {found}")

    def read(self):
        data = self.client.socket.recv(65536)
        board.expect(data, f"peer {self.number} was disconnected")
        self.client.buffer += data
        while True:
            found = self.client._parse()
            if not found:
                return
            self.handle(found)


def one_too_many(one):
    """It is told why, and its connection is closed: no RST destroys the CONNACK, even where it has not waited for it."""
    ahead = wire.publish_packet("too/many", b"a" * 100)
    for number in range(3):
        client = one.open()
        client.send(wire.connect_packet(f"too-many-{number}"))
        for _ in range(number * 10):
            client.send(ahead)
        answer = client.receive()
        board.expect((answer.type, answer.body) == (wire.CONNACK, b"\0\3"), f"one client too many got {answer}")
        board.expect(client.expect_close() == [], "there was more than a CONNACK")
        client.socket.close()
    one.wait("too-many-2.*too many clients")


def no_room_at_all(one):
    """Who cannot even be told is refused, too, with a line."""
    since = one.mark()
    start = used = one.pools()["connections"][0]
    mute = []
    while one.pools()["connections without room"] == 0:
        mute.append(one.open())
        used += 1
        one.until(lambda pools: pools["connections"][0] == used or pools["connections without room"] == 1,
                  "a connection was neither taken nor refused")
    one.wait("^Connection refused: there is no room for another one", since=since)
    for client in mute:
        client.cut()
    one.until(lambda pools: pools["connections"][0] == start, "connections that only waited are still there")


def turn(peers, selector, chance, rate, seconds):
    """Publishes for so long, then waits for all that is under way."""
    deadline = time.monotonic() + seconds
    give_up = deadline + board.DEADLINE_S
    while True:
        publishing = time.monotonic() < deadline
        if publishing:
            for peer in peers:
                peer.publish(chance, rate)
        for key, _ in selector.select(0.01):
            key.data.read()
        if not publishing and finished(peers):
            return
        if time.monotonic() > give_up:
            raise board.Failure("; ".join(f"peer {peer.number}: sent {dict(peer.sent)}, waits for {len(peer.unacknowledged)}, "
                                          f"got {peer.got}" for peer in peers))


def finished(peers):
    count = len(peers)
    for peer in peers:
        for step in (1, 2):
            publisher = peers[(peer.number + step) % count]
            for qos in (1, 2):
                if peer.got.get((publisher.number, qos), 0) != publisher.sent[qos]:
                    return False
        if peer.unacknowledged:
            return False
    return True


def main():
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("board")
    parser.add_argument("--seconds", type=float, default=60)
    parser.add_argument("--peers", type=int, default=16, help="how many of the clients talk; the others only stay")
    parser.add_argument("--rate", type=float, help="messages a second of each of them, at most; else what board.cmake says")
    parser.add_argument("--seed", type=int, default=random.randrange(2**32))
    options = parser.parse_args()
    print(f"seed {options.seed}")
    chance = random.Random(options.seed)
    with board.Board(options.board) as one:
        count = min(options.peers, one.clients)
        rate = options.rate or float(one.facts["rate"] or RATE)
        fillers = [one.client(f"filler-{i}") for i in range(one.clients - count)]
        peers = [Peer(one, number, count) for number in range(count)]
        no_room_at_all(one)
        one_too_many(one)
        selector = selectors.DefaultSelector()
        for peer in peers:
            selector.register(peer.client.socket, selectors.EVENT_READ, peer)
        turn(peers, selector, chance, rate, options.seconds)
        sent, got = collections.Counter(), collections.Counter()
        for peer in peers:
            sent += peer.sent
            got += peer.count
        print(f"{count} clients: sent {dict(sent)}, received {dict(got)} by QoS")
        board.expect(got[0] > sent[0], "hardly any message of QoS 0 arrived")
        for client in [peer.client for peer in peers] + fillers:
            client.disconnect()
        board.stack_headroom(one.settled())


if __name__ == "__main__":
    main()
