"""A board with mDNS answers to midge.local, and says on which port the broker is (_mqtt._tcp, or _secure-mqtt._tcp with TLS).

    test_mdns.py BOARD [--tls]

The test is the only other station of the board's network: it takes and gives Ethernet frames as UDP datagrams. Nobody answers
to DHCP there, so the board uses the address that was built in.
"""

import socket
import struct
import sys
import time

import board

ADDRESS = bytes([10, 0, 2, 15])
STATION = (bytes([2, 0, 0, 0, 0, 1]), bytes([10, 0, 2, 9]))  # Ethernet and IP address of this end
GROUP = (bytes.fromhex("01005e0000fb"), bytes([224, 0, 0, 251]))
PORT = 5353
TYPE_A, TYPE_PTR, TYPE_SRV = 1, 12, 33


def checksum(data):
    total = sum(struct.unpack(f">{len(data) // 2}H", data))
    while total >> 16:
        total = (total & 0xFFFF) + (total >> 16)
    return ~total & 0xFFFF


def encode_name(name):
    return b"".join(bytes([len(label)]) + label.encode() for label in name.split(".")) + b"\0"


def question(name, kind):
    """A frame to the group of all responders (RFC 6762), with one question."""
    query = struct.pack(">HHHHHH", 0, 0, 1, 0, 0, 0) + encode_name(name) + struct.pack(">HH", kind, 1)
    datagram = struct.pack(">HHHH", PORT, PORT, 8 + len(query), 0) + query
    header = struct.pack(">BBHHHBBH4s4s", 0x45, 0, 20 + len(datagram), 1, 0, 255, 17, 0, STATION[1], GROUP[1])
    header = header[:10] + struct.pack(">H", checksum(header)) + header[12:]
    return GROUP[0] + STATION[0] + b"\x08\x00" + header + datagram


def decode_name(message, at):
    """Returns the name at this place, with its pointers followed, and the place behind it."""
    labels, end = [], None
    while message[at]:
        if message[at] & 0xC0:
            end = end or at + 2
            at = struct.unpack(">H", message[at:at + 2])[0] & 0x3FFF
            continue
        labels.append(message[at + 1:at + 1 + message[at]].decode())
        at += 1 + message[at]
    return ".".join(labels), end or at + 1


def answers(frame):
    """The records of an mDNS answer in this frame as (name, type, data, whole message, place of the data)."""
    if frame[12:14] != b"\x08\x00" or frame[23] != 17 or struct.unpack(">H", frame[34:36])[0] != PORT:
        return
    message = frame[42:]
    flags, questions, *counts = struct.unpack(">HHHHH", message[2:12])
    if not flags & 0x8000:
        return
    at = 12
    for _ in range(questions):
        at = decode_name(message, at)[1] + 4
    for _ in range(sum(counts)):
        name, at = decode_name(message, at)
        kind, _, _, size = struct.unpack(">HHIH", message[at:at + 10])
        yield name, kind, message[at + 10:at + 10 + size], message, at + 10
        at += 10 + size


def wait_for_silence(wire):
    """A board announces its names by itself when it gets its address; that is no answer."""
    wire.settimeout(3)
    try:
        while True:
            wire.recv(2048)
    except socket.timeout:
        pass


def ask(wire, to, name, kind):
    """Asks until there is an answer to it; returns its records."""
    deadline = time.monotonic() + board.DEADLINE_S
    while time.monotonic() < deadline:
        wire.sendto(question(name, kind), to)
        wire.settimeout(1)  # then asks again
        try:
            while True:
                records = list(answers(wire.recv(2048)))
                if any((record[0].lower(), record[1]) == (name, kind) for record in records):
                    return records
        except socket.timeout:
            continue
    raise board.Failure(f"nobody answered to {name}")


def main(name, variant=""):
    service, port = ("_secure-mqtt", 8883) if variant else ("_mqtt", 1883)
    wire = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
    wire.bind(("127.0.0.1", 0))
    there = board.free_udp_ports(1)[0]
    network = ["-nic", f"socket,udp=127.0.0.1:{wire.getsockname()[1]},localaddr=127.0.0.1:{there}"]
    with wire, board.Board(name, network=network, variant=variant) as one:
        one.wait(r"^address 10\.0\.2\.15 built in: .*, midge\.local$")
        wait_for_silence(wire)
        found = [record[2] for record in ask(wire, ("127.0.0.1", there), "midge.local", TYPE_A) if record[1] == TYPE_A]
        board.expect(found == [ADDRESS], f"midge.local is {found}")
        records = ask(wire, ("127.0.0.1", there), f"{service}._tcp.local", TYPE_PTR)
        ports = [struct.unpack(">H", record[2][4:6])[0] for record in records if record[1] == TYPE_SRV]
        hosts = [decode_name(record[3], record[4] + 6)[0] for record in records if record[1] == TYPE_SRV]
        board.expect((ports, hosts) == ([port], ["midge.local"]), f"the broker is at {hosts}, {ports}")


if __name__ == "__main__":
    main(sys.argv[1], "-tls" if sys.argv[2:] == ["--tls"] else "")
