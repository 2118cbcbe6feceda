"""A minimal MQTT 3.1.1 client over a raw socket, for tests that must decide about every byte and every close themselves.

It does nothing behind the test's back: no thread, no reconnect, no acknowledgement that was not asked for (`receive_publish`
acknowledges unless told otherwise, since most tests want that). Every wait has a deadline; one that passes raises Timeout.
"""

import collections
import socket
import struct
import time

CONNECT, CONNACK, PUBLISH, PUBACK, PUBREC, PUBREL, PUBCOMP, SUBSCRIBE, SUBACK, UNSUBSCRIBE, UNSUBACK, PINGREQ, PINGRESP, \
    DISCONNECT = range(1, 15)

# Generous: it only bounds how long a failing test hangs.
DEADLINE_S = 300

Packet = collections.namedtuple("Packet", "type flags body")
Message = collections.namedtuple("Message", "topic payload qos retain dup packet_id")


class Timeout(Exception):
    """Nothing came although something had to."""


class Closed(Exception):
    """The broker closed the connection."""


def parse_address(text):
    """HOST:PORT as a pair for socket.create_connection."""
    host, _, port = text.rpartition(":")
    return host, int(port)


def text(value):
    """A string or bytes with the length before it [MQTT-1.5.3]."""
    data = value.encode() if isinstance(value, str) else value
    return struct.pack(">H", len(data)) + data


def remaining_length(size):
    """The variable-length number of the fixed header."""
    out = bytearray()
    while True:
        size, digit = size >> 7, size & 0x7F
        out.append(digit | (0x80 if size else 0))
        if not size:
            return bytes(out)


def packet(kind, flags, body=b""):
    return bytes([kind << 4 | flags]) + remaining_length(len(body)) + body


def connect_packet(client_id, clean=True, keepalive=0, will=None, username=None, password=None, level=4):
    """`will` is (topic, payload, qos, retain)."""
    flags = 0x02 if clean else 0
    tail = text(client_id)
    if will:
        topic, payload, qos, retain = will
        flags |= 0x04 | qos << 3 | (0x20 if retain else 0)
        tail += text(topic) + text(payload)
    if username is not None:
        flags |= 0x80
        tail += text(username)
    if password is not None:
        flags |= 0x40
        tail += text(password)
    name = "MQIsdp" if level & 0x7F == 3 else "MQTT"
    return packet(CONNECT, 0, text(name) + bytes([level, flags]) + struct.pack(">H", keepalive) + tail)


def publish_packet(topic, payload, qos=0, packet_id=0, retain=False, dup=False):
    data = payload.encode() if isinstance(payload, str) else payload
    identifier = struct.pack(">H", packet_id) if qos else b""
    return packet(PUBLISH, (8 if dup else 0) | qos << 1 | retain, text(topic) + identifier + data)


def subscribe_packet(packet_id, filters):
    """`filters` is a list of (filter, qos)."""
    return packet(SUBSCRIBE, 2, struct.pack(">H", packet_id) + b"".join(text(f) + bytes([qos]) for f, qos in filters))


class Client:
    """One connection, to a pair of host and port or to the path of a Unix socket. `receive_buffer` asks for a small SO_RCVBUF,
    for a reader that is to be slow; `source` is the address that the client has, where the host has several, `port` its
    port."""

    def __init__(self, address, receive_buffer=None, timeout=DEADLINE_S, source=None, port=0):
        self.timeout = timeout
        self.buffer = bytearray()
        self.next_id = 1
        self.held = collections.deque()  # messages that came in while an acknowledgement was awaited
        ip = socket.AF_INET6 if ":" in address[0] else socket.AF_INET
        self.socket = socket.socket(socket.AF_UNIX if isinstance(address, str) else ip, socket.SOCK_STREAM)
        if receive_buffer:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_RCVBUF, receive_buffer)
        self.socket.settimeout(timeout)
        if source or port:
            self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
            self.socket.bind((source or "", port))
        self.socket.connect(address)
        if not isinstance(address, str):
            self.socket.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)

    def __enter__(self):
        return self

    def __exit__(self, *_):
        self.socket.close()

    # ---- bytes ----

    def send(self, data):
        try:
            self.socket.sendall(data)
        except (ConnectionError, BrokenPipeError) as error:
            raise Closed(str(error)) from error
        except socket.timeout as error:
            raise Timeout("the broker takes no bytes") from error

    def cut(self):
        """Ends the connection without DISCONNECT: the broker sees FIN."""
        self.socket.close()

    def reset(self):
        """Ends the connection with a RST."""
        self.socket.setsockopt(socket.SOL_SOCKET, socket.SO_LINGER, struct.pack("ii", 1, 0))
        self.socket.close()

    def _parse(self):
        """Takes one whole packet out of the buffer; None if it is not all there."""
        size, shift = 0, 0
        for used in range(1, min(len(self.buffer), 5)):
            size |= (self.buffer[used] & 0x7F) << shift
            shift += 7
            if not self.buffer[used] & 0x80:
                start, end = used + 1, used + 1 + size
                if len(self.buffer) < end:
                    return None
                found = Packet(self.buffer[0] >> 4, self.buffer[0] & 15, bytes(self.buffer[start:end]))
                del self.buffer[:end]
                return found
        return None

    def receive(self, timeout=None):
        """The next packet."""
        deadline = time.monotonic() + (self.timeout if timeout is None else timeout)
        while True:
            found = self._parse()
            if found:
                return found
            left = deadline - time.monotonic()
            if left <= 0:
                raise Timeout("no packet in time")
            self.socket.settimeout(left)
            try:
                data = self.socket.recv(65536)
            except socket.timeout as error:
                raise Timeout("no packet in time") from error
            except ConnectionError as error:
                raise Closed(str(error)) from error
            finally:
                self.socket.settimeout(self.timeout)
            if not data:
                raise Closed("the broker closed the connection")
            self.buffer += data

    def expect_close(self):
        """Returns the packets that still came before the broker closed."""
        seen = []
        try:
            while True:
                seen.append(self.receive())
        except Closed:
            return seen

    # ---- packets ----

    def connect(self, client_id, **options):
        """Sends CONNECT and returns (session present, return code)."""
        self.send(connect_packet(client_id, **options))
        answer = self.receive()
        assert answer.type == CONNACK and len(answer.body) == 2, f"expected CONNACK, got {answer}"
        return answer.body[0], answer.body[1]

    def identifier(self):
        value = self.next_id
        self.next_id = value % 65535 + 1
        return value

    def _receive_answer(self):
        """The next packet that is not part of what the broker sends by itself."""
        while True:
            answer = self.receive()
            if answer.type == PUBLISH:
                self.held.append(self._message(answer))
            elif answer.type == PUBREL:
                self.send(packet(PUBCOMP, 0, answer.body[:2]))
            else:
                return answer

    def await_answer(self, kind, packet_id):
        """The body of the packet of this kind and identifier; messages that come in meanwhile are held for receive_publish,
        unacknowledged."""
        answer = self._receive_answer()
        found = struct.unpack(">H", answer.body[:2])[0] if len(answer.body) >= 2 else 0
        assert (answer.type, found) == (kind, packet_id), f"expected type {kind} id {packet_id}, got {answer}"
        return answer.body

    def subscribe(self, *filters):
        """Returns the codes of the SUBACK."""
        packet_id = self.identifier()
        self.send(subscribe_packet(packet_id, list(filters)))
        return list(self.await_answer(SUBACK, packet_id)[2:])

    def publish(self, topic, payload, qos=0, retain=False):
        """Publishes one message and waits until the whole exchange is over."""
        packet_id = self.identifier() if qos else 0
        self.send(publish_packet(topic, payload, qos, packet_id, retain))
        if qos == 1:
            self.await_answer(PUBACK, packet_id)
        elif qos == 2:
            self.await_answer(PUBREC, packet_id)
            self.send(packet(PUBREL, 2, struct.pack(">H", packet_id)))
            self.await_answer(PUBCOMP, packet_id)

    @staticmethod
    def _message(found):
        size = struct.unpack(">H", found.body[:2])[0]
        topic, rest = found.body[2:2 + size].decode(), found.body[2 + size:]
        qos, packet_id = found.flags >> 1 & 3, 0
        if qos:
            packet_id, rest = struct.unpack(">H", rest[:2])[0], rest[2:]
        return Message(topic, rest, qos, bool(found.flags & 1), bool(found.flags & 8), packet_id)

    def acknowledge(self, message):
        """PUBACK, or the whole exchange of a QoS 2 message up to PUBCOMP without waiting for the PUBREL, which
        receive_publish answers."""
        if message.qos == 1:
            self.send(packet(PUBACK, 0, struct.pack(">H", message.packet_id)))
        elif message.qos == 2:
            self.send(packet(PUBREC, 0, struct.pack(">H", message.packet_id)))

    def receive_publish(self, timeout=None, acknowledge=True):
        """The next message; answers PUBREL with PUBCOMP on the way."""
        message = self.held.popleft() if self.held else None
        while message is None:
            found = self.receive(timeout)
            if found.type == PUBREL:
                self.send(packet(PUBCOMP, 0, found.body[:2]))
                continue
            assert found.type == PUBLISH, f"expected PUBLISH, got {found}"
            message = self._message(found)
        if acknowledge:
            self.acknowledge(message)
        return message

    def ping(self):
        """A round trip: whatever the broker had to say to earlier packets has been said when this returns. Messages that
        come in meanwhile are held."""
        self.send(packet(PINGREQ, 0))
        answer = self._receive_answer()
        assert answer.type == PINGRESP, f"expected PINGRESP, got {answer}"

    def disconnect(self):
        """A clean end: DISCONNECT, then wait for the broker's close."""
        self.send(packet(DISCONNECT, 0))
        try:
            while True:
                self.receive()
        except Closed:
            pass
        self.socket.close()


def connected(address, client_id, receive_buffer=None, **options):
    """A client that the broker has accepted."""
    client = Client(address, receive_buffer)
    present, code = client.connect(client_id, **options)
    assert code == 0, f"{client_id!r} was refused with {code}"
    client.present = present
    return client


def forget(address, client_id):
    """Removes the session of this client."""
    connected(address, client_id, clean=True).disconnect()
