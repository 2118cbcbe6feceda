"""What went over a board's wire, in words, out of a file that the emulator's filter-dump has written."""

import struct

HEADER, RECORD = struct.Struct("<IHHiIII"), struct.Struct("<IIII")
KEPT_BYTES = 96  # of each frame: the headers
FLAGS = ((2, "SYN"), (1, "FIN"), (4, "RST"), (8, "PSH"), (16, "ACK"))
ETHERNET_BYTES, IP, TCP, UDP = 14, 0x0800, 6, 17


def records(path):
    """Seconds and bytes of each frame. The last record may not be all there yet."""
    data = path.read_bytes()
    at = HEADER.size
    while at + RECORD.size <= len(data):
        seconds, micros, kept, _ = RECORD.unpack_from(data, at)
        at += RECORD.size
        yield seconds + micros / 1e6, data[at:at + kept]
        at += kept


def words(frame):
    """Who says what to whom."""
    if len(frame) < ETHERNET_BYTES + 20 or struct.unpack_from(">H", frame, 12)[0] != IP:
        return f"Ethernet type {frame[12:14].hex()}"
    ip = frame[ETHERNET_BYTES:]
    size, = struct.unpack_from(">H", ip, 2)
    source, target = (".".join(map(str, ip[at:at + 4])) for at in (12, 16))
    at = (ip[0] & 15) * 4
    if ip[9] not in (TCP, UDP) or len(ip) < at + (20 if ip[9] == TCP else 8):
        return f"{source} > {target} protocol {ip[9]}"
    ports = struct.unpack_from(">HH", ip, at)
    who = f"{source}:{ports[0]} > {target}:{ports[1]}"
    if ip[9] == UDP:
        return f"{who} UDP, {size - at - 8} bytes"
    number, acknowledged, offset, flags, window = struct.unpack_from(">IIBBH", ip, at + 4)
    said = "+".join(name for bit, name in FLAGS if flags & bit)
    return f"{who} {said} {number} ack {acknowledged} window {window}, {size - at - (offset >> 4) * 4} bytes"


def told(path, last):
    """The last frames, a line each."""
    found = list(records(path)) if path.exists() else []
    start = found[0][0] if found else 0
    return [f"{at - start:10.3f} {words(frame)}" for at, frame in found[-last:]]
