"""What a board makes of its noise: the hash seed (seen in the client identifiers that it assigns), TCP's first sequence
numbers, and with TLS the state of its generator.

    test_entropy.py BOARD [--tls]

The emulator puts noise into the RAM before the start, and lets the time follow the instructions, so that two starts with the
same noise are alike until the first frame comes.
"""

import re
import struct
import sys

import board
import fixture
import gdb
import relay

SAME_TIME = ["-icount", "shift=6"]
NOISE = (None, None, 0x5A17, 0x5A16)  # the last two differ in one bit
GENERATOR_BYTES = 16  # the counter of CTR-DRBG, which comes out of its seed
FAR = 1 << 16


def noise_of(image, value):
    if value is None:
        return []
    return ["-device", f"loader,addr={image.symbol('midge_bss_start') + 64:#x},data={value:#x},data-len=4"]


def assigned_identifier(one):
    since = one.mark()
    client = one.open()
    board.expect(client.connect("", clean=True) == (0, 0), "a client without an identifier was refused")
    line = one.wait("^New client connected from .* as ", since=since)
    client.disconnect()
    return re.search(r" as (\S+) ", line).group(1)


def start(name, variant, value):
    """Returns what this noise led to."""
    port = fixture.free_port()
    one = board.Board(name, variant=variant, guest_port=8883 if variant else 1883)
    one.extra = [*SAME_TIME, *noise_of(one, value), "-gdb", f"tcp:127.0.0.1:{port}"]
    with one:
        if not variant:
            return assigned_identifier(one)
        stopped = gdb.Gdb(port)
        state = stopped.read(one.symbol("generator"), GENERATOR_BYTES)
        stopped.go()
        return state


def follows_the_noise(name, variant):
    first, again, *others = (start(name, variant, value) for value in NOISE)
    print(f"without noise {first}, with {others}")
    board.expect(first == again, f"without noise two starts gave {first} and {again}")
    board.expect(len({first, *others}) == len(others) + 1, "different noise made no difference")


def arrivals_count(name):
    """A frame that comes changes the state from which the numbers are drawn: not as a draw would, which adds a constant."""
    port = fixture.free_port()
    with board.Board(name, extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
        def state():
            stopped = gdb.Gdb(port)
            found = int.from_bytes(stopped.read(one.symbol("state"), 8), "little")
            stopped.go()
            return found

        client = one.client("arrivals")
        before = state()
        client.ping()
        after = state()
        draws = {(before + count * 0x9E3779B97F4A7C15) % 2**64 for count in range(64)}
        board.expect(after not in draws, "the arrival of a frame left no trace")
        client.disconnect()


def sequence_numbers(name):
    """Those of connections that follow each other lie far apart."""
    with relay.Relay(0) as wires:
        with board.Board(name, network=wires.board_network()) as one:
            one.address = ("127.0.0.1", wires.forwarded)
            for number in range(6):
                one.client(f"sequence-{number}").disconnect()
    # By the client's port: a board whose SYN-ACK is not answered soon says it again.
    firsts = list({frame[36:38]: struct.unpack(">I", frame[38:42])[0]
                   for frame in wires.said if frame[23] == 6 and frame[47] & 0x3F == 0x12}.values())
    near = [pair for pair in zip(firsts, firsts[1:]) if (pair[1] - pair[0]) % 2**32 < FAR]
    board.expect(len(firsts) == 6 and len(near) <= 1, f"TCP's first sequence numbers: {firsts}")


def main(name, variant=""):
    follows_the_noise(name, variant)
    if not variant:
        arrivals_count(name)
        sequence_numbers(name)


if __name__ == "__main__":
    main(sys.argv[1], "-tls" if sys.argv[2:] == ["--tls"] else "")
