"""Slow readers, half-sent packets and peers that vanish hurt nobody else, and leave nothing behind.

    test_rude.py BOARD CASE...
"""

import socket
import sys
import time

import board
import fixture
import frames
import relay
import wire

ROUNDS = 60


def healthy_pair(one, rounds=ROUNDS):
    """A publisher and a subscriber to whom all that happens must not matter."""
    with one.client("healthy-in") as publisher, one.client("healthy-out") as subscriber:
        subscriber.subscribe(("healthy", 1))
        for number in range(rounds):
            publisher.publish("healthy", f"{number} ".encode() + b"h" * 200, 1)
            message = subscriber.receive_publish()
            board.expect(message.payload.startswith(f"{number} ".encode()), f"got {message.payload[:10]} as number {number}")
        publisher.disconnect()
        subscriber.disconnect()


def slow_readers(name):
    """Eight subscribers never read while they are flooded. They pin what their share allows, no more."""
    with board.Board(name) as one:
        slow = [one.client(f"slow-{i}", receive_buffer=2048) for i in range(8)]
        for client in slow:
            client.subscribe(("flood", 0))
        flooder = one.client("flooder")
        # The user network and the kernel hold some hundred KB for each reader before the board feels that nobody reads.
        for _ in range(1500):
            flooder.publish("flood", b"f" * 1400, 0)
        flooder.ping()
        healthy_pair(one)
        flooder.disconnect()
        for client in slow:
            client.reset()
        board.stack_headroom(one.settled())


def send_until_blocked(client):
    """The network holds some hundred KB, then the board takes no more."""
    message = wire.publish_packet("flood", b"f" * 1400, 1, 1)
    client.socket.settimeout(0.5)
    sent = len(message)
    try:
        while sent == len(message):
            sent = client.socket.send(message)
    except socket.timeout:
        pass


def stalled_senders(name):
    """Senders whose input waits behind slow readers pin a few of the board's buffers, and give them back when they are cut off.
    Where the emulated controller loses what its FIFO has no room for, the network repeats for minutes: not on each board."""
    with board.Board(name) as one:
        slow = [one.client(f"slow-{i}", receive_buffer=2048) for i in range(2)]
        for client in slow:
            client.subscribe(("flood", 1))
        stalled = [one.client(f"stalled-{i}") for i in range(12)]
        for client in stalled:
            send_until_blocked(client)
        healthy_pair(one)
        for client in stalled + slow:
            client.reset()
        board.stack_headroom(one.settled())


def dribble(client, count):
    """One segment for each of these small packets, and so a buffer of the board each."""
    for _ in range(count):
        client.send(wire.packet(wire.PINGREQ, 0, b""))
        time.sleep(0.001)


def dribblers(name):
    """Small packets of senders that wait take whole buffers: however many come, the others still find one."""
    with board.Board(name) as one:
        slow = [one.client(f"slow-{i}", receive_buffer=2048) for i in range(2)]
        for client in slow:
            client.subscribe(("flood", 1))
        stalled = [one.client(f"stalled-{i}") for i in range(12)]
        send_until_blocked(stalled[0])
        for client in stalled[1:]:
            client.send(wire.publish_packet("flood", b"f" * 40, 1, 1))
        for _ in range(4):
            for client in stalled[1:]:
                dribble(client, 10)
        used, _, capacity = one.pools()["receive buffers"]
        print(f"{used} of {capacity} buffers used")
        board.expect(one.pools()["frames lost"] == 0, "there was no buffer for a frame")
        healthy_pair(one)
        for client in stalled + slow:
            client.reset()
        board.stack_headroom(one.settled())


def refused_without_a_reset(name):
    """Who is refused and still speaks gets his CONNACK and the end of the stream, never a RST, which could overtake them."""
    with relay.Relay(0) as wires:
        with board.Board(name, network=wires.board_network()) as one:
            one.address = ("127.0.0.1", wires.forwarded)
            refused = one.open()
            board.expect(refused.connect("", clean=False) == (0, 2), "a client without an identifier was not refused")
            refused.expect_close()
            refused.send(wire.publish_packet("late", b"l" * 100))
            refused.cut()
            one.settled()
            said = [frames.words(frame) for frame in wires.said]
            board.expect(any("FIN" in words for words in said), "the board never ended the connection")
            board.expect(not any("RST" in words for words in said), "the board sent a RST")


def comes_back(name):
    """A client whose connection the board has closed comes back from the same port."""
    port = fixture.free_port()
    with board.Board(name) as one:
        for _ in range(2):
            client = one.open(port=port)
            client.connect("regular")
            client.send(wire.packet(wire.DISCONNECT, 0, b""))
            client.expect_close()
            client.cut()
        one.settled()


def half_sent(name):
    """Packets that end in the middle, at each of their bytes; and the CONNECT that never ends."""
    whole = wire.publish_packet("half", b"p" * 1200, 1, 7)
    with board.Board(name) as one:
        halves = []
        for i, size in enumerate((1, 2, 4, 8, 10, 300, 700, len(whole) - 1)):
            client = one.client(f"half-{i}", will=("half/will", "", 0, False))
            client.send(whole[:size])
            halves.append(client)
        mute = one.open()
        mute.send(wire.connect_packet("mute")[:9])
        healthy_pair(one)
        halves[-1].send(whole[-1:])
        board.expect(halves[-1].receive().type == wire.PUBACK, "the packet that was completed was not acknowledged")
        for client in halves:
            client.cut()
        mute.cut()
        one.settled()


def refuses_what_is_too_large(name):
    """A packet above the limit ends its sender, with a line that says so, before its bytes have come. Where it does not end
    its own side, the board forgets it all the same."""
    with board.Board(name) as one:
        client = one.client("large")
        client.send(wire.publish_packet("large", b"l" * 200000, 0)[:2000])
        client.expect_close()
        one.wait("large.*too large")
        one.until(lambda pools: pools["TCP connections"][0] == 0, "the connection is still there")
        client.socket.close()
        one.settled()


def vanishes(name):
    """A peer that answers nothing any more: found by MQTT's keep alive."""
    with relay.Relay(0) as wires:
        with board.Board(name, network=wires.board_network()) as one:
            one.address = ("127.0.0.1", wires.forwarded)
            since = one.mark()
            keeps = one.client("keeps-alive-by-tcp", keepalive=0)
            gone = one.client("vanishes", keepalive=4)
            wires.silence = True
            one.wait("vanishes.*exceeded keep alive", since=since)
            one.wait("keeps-alive-by-tcp.*closed", since=since, timeout=600)
            wires.silence = False
            gone.cut()
            keeps.cut()
            one.settled()


CASES = {case.__name__: case for case in (
    slow_readers, stalled_senders, dribblers, half_sent, refuses_what_is_too_large, refused_without_a_reset, comes_back,
    vanishes)}


def main(name, cases):
    for case in cases:
        start = time.monotonic()
        CASES[case](name)
        print(f"{case}: {time.monotonic() - start:.0f} s", flush=True)


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
