"""What a board of 64 KB promises to hold, all of it at once: 16 clients, each with subscriptions and a will, 32 retained
messages, 8 absent clients for whom messages are queued, and packets of 1,536 bytes.

    test_house.py BOARD
"""

import sys

import board
import talk
import wire

CLIENTS, ABSENT, RETAINED, QUEUED, PACKET_SIZE = 16, 8, 32, 4, 1536
# 64 subscriptions: three of each client, two of each absent one.
FILTERS = [("house/all", 1), ("kept/+", 0), ("room/{}/+/state", 1)]
ABSENT_FILTERS = [("post/all", 1), ("post/{}/#", 1)]


def filters(templates, number):
    """The last one of the residents hears of those who go; nobody sends to its room."""
    found = [(template.format(number), qos) for template, qos in templates]
    return [*found[:-1], ("gone/#", 1)] if number == CLIENTS - 1 else found


def absent(one):
    """Clients that subscribe, and go without an end to their sessions."""
    for number in range(ABSENT):
        client = one.client(f"absent-{number}", clean=False)
        codes = client.subscribe(*filters(ABSENT_FILTERS, number))
        board.expect(codes == [1, 1], f"subscribing gave {codes}")
        client.disconnect()


def residents(one):
    """Every second one keeps its session."""
    clients = []
    for number in range(CLIENTS):
        will = (f"gone/{number}", f"client {number} is gone".encode(), 1, False)
        client = one.client(f"resident-{number}", clean=number % 2 == 0, keepalive=600, will=will)
        codes = client.subscribe(*filters(FILTERS, number))
        board.expect(codes == [1, 0, 1], f"subscribing gave {codes}")
        clients.append(client)
    return clients


def fill(clients):
    """Retained messages, which every client also hears of at once; then what the absent ones are to get."""
    for number in range(RETAINED):
        clients[number % CLIENTS].publish(f"kept/{number}", f"value {number}", 1, retain=True)
        for client in clients:
            message = client.receive_publish()
            board.expect(message.topic == f"kept/{number}", f"got {message.topic} instead of kept/{number}")
    for number in range(QUEUED):
        clients[0].publish("post/all", f"letter {number}", 1)


def largest_packets(clients):
    """Two at once, each to a client that asked for it, while everything else is held."""
    pairs = [(clients[0], clients[1], "room/1/from/state"), (clients[2], clients[3], "room/3/from/state")]
    payloads = {}
    for sender, _, topic in pairs:
        size = PACKET_SIZE - 3 - 2 - len(topic) - 2
        payloads[topic] = bytes(i % 251 for i in range(size))
        packet = wire.publish_packet(topic, payloads[topic], 1, sender.identifier())
        board.expect(len(packet) == PACKET_SIZE, f"the packet has {len(packet)} bytes")
        sender.send(packet)
    for sender, receiver, topic in pairs:
        message = receiver.receive_publish()
        board.expect((message.topic, message.payload) == (topic, payloads[topic]), f"got another message on {message.topic}")
        board.expect(sender.receive().type == wire.PUBACK, "the largest packet was not acknowledged")


def everybody_at_once(clients):
    """As many messages to all as there are deliveries for, in case nobody reads before all are sent."""
    senders = clients[::2]
    talk.say(senders, "from", "house/all")
    talk.hear(clients, senders, "from")


def held(one):
    pools = one.pools()
    for pool, count in (("connections", CLIENTS), ("sessions", CLIENTS + ABSENT), ("subscriptions", 64), ("deliveries", 0)):
        least = ABSENT * QUEUED if pool == "deliveries" else count
        board.expect(pools[pool][0] >= least, f"{pool}: {pools[pool][0]} used instead of {least}")
    print("  ".join(f"{name} {use[0]}/{use[2]}" for name, use in pools.items() if isinstance(use, tuple) and len(use) == 3))


def leave(one, clients):
    """All but one go without a word: each will arrives. Then the absent ones get their post."""
    last = clients[-1]
    for number, client in enumerate(clients[:-1]):
        client.reset()
        message = last.receive_publish()
        board.expect(message.topic == f"gone/{number}", f"got {message.topic} instead of the will of {number}")
    for number in range(ABSENT):
        client = one.client(f"absent-{number}", clean=False)
        board.expect(client.session_present, f"absent-{number} had no session")
        got = [client.receive_publish().payload for _ in range(QUEUED)]
        board.expect(got == [f"letter {i}".encode() for i in range(QUEUED)], f"absent-{number} got {got}")
        client.disconnect()
    got = one.client("newcomer")
    got.subscribe(("kept/#", 0))
    kept = {message.topic: message.payload for message in (got.receive_publish() for _ in range(RETAINED))}
    board.expect(kept == {f"kept/{i}": f"value {i}".encode() for i in range(RETAINED)}, f"{len(kept)} retained messages")
    got.disconnect()
    last.disconnect()


def forget(one):
    with one.client("cleaner") as cleaner:
        for number in range(RETAINED):
            cleaner.publish(f"kept/{number}", b"", 1, retain=True)
        cleaner.disconnect()
    for name in [f"absent-{number}" for number in range(ABSENT)] + [f"resident-{number}" for number in range(CLIENTS)]:
        one.client(name, clean=True).disconnect()


def main(name):
    with board.Board(name) as one:
        absent(one)
        clients = residents(one)
        fill(clients)
        largest_packets(clients)
        everybody_at_once(clients)
        held(one)
        leave(one, clients)
        forget(one)
        board.stack_headroom(one.settled())


if __name__ == "__main__":
    main(sys.argv[1])
