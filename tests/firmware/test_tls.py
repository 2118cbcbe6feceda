"""A board whose image has TLS: who gets in and who does not, and what it costs.

    test_tls.py BOARD KEYS [--paho PROGRAM]... [CASE...]    KEYS is the folder of the image's keys (tls_keys.py)
"""

import argparse
import pathlib
import socket
import subprocess
import tempfile
import threading

import board
from board import wire

import tls_keys

CCM_8 = "PSK-AES128-CCM8"
SHARED = ["-tls1_2", "-cipher", CCM_8, "-psk", tls_keys.PSK, "-psk_identity", tls_keys.IDENTITY]
PAHO_CASES = "qos_matrix,large_payload,takeover,ordering_qos2"
OPTIONS = None
# How many clients at once, on a board that takes so many.
CROWD_MAX = 24
# No client sends a larger record.
RECORD_MAX = 16384


class Sealed(wire.Client):
    """A client whose TLS is that of openssl s_client."""

    def __init__(self, address, arguments):  # pylint: disable=super-init-not-called
        self.timeout, self.buffer, self.next_id, self.held = wire.DEADLINE_S, bytearray(), 1, wire.collections.deque()
        self.socket, theirs = socket.socketpair()
        self.socket.settimeout(self.timeout)
        command = ["openssl", "s_client", "-quiet", "-state", "-connect", f"{address[0]}:{address[1]}", *arguments]
        self.said = tempfile.TemporaryFile()
        self.process = subprocess.Popen(command, stdin=theirs, stdout=theirs, stderr=self.said)
        theirs.close()

    def receive(self, timeout=None):
        try:
            return super().receive(timeout)
        except wire.Timeout as error:
            self.said.seek(0)
            ended = self.process.poll()
            raise wire.Timeout(f"{error}; {self.process.args}, status {ended}, said: {self.said.read().decode()}") from error

    def cut(self):
        self.process.kill()
        self.process.wait()
        self.said.close()
        super().cut()


def has_certificates(one):
    return "certificates" in one.has


def crowd_of(one):
    return min(CROWD_MAX, one.clients)


def connected(one, client_id, arguments=SHARED):
    client = Sealed(one.address, arguments)
    board.expect(client.connect(client_id)[1] == 0, f"{client_id} was refused")
    return client


def certified(keys):
    return ["-tls1_2", "-CAfile", keys / "authority.pem", "-verify_return_error", "-cipher", "ECDHE-ECDSA-AES128-GCM-SHA256"]


def refused(one, arguments, words):
    """A client with these arguments does not get through, and the console says why."""
    since = one.mark()
    client = Sealed(one.address, arguments)
    try:
        client.connect("refused")
        raise board.Failure(f"{arguments} was let in")
    except wire.Closed:
        pass
    finally:
        client.cut()
    one.wait(f"^TLS with 10.0.2.2:.* failed: .*{words}", since=since)


# ---- the cases ----------------------------------------------------------------------------------------------------------


def mosquitto(one, keys):
    """mosquitto_pub and mosquitto_sub: with shared keys, and where the board has one, with its certificate."""
    ways = [["--psk", tls_keys.PSK, "--psk-identity", tls_keys.IDENTITY, "--ciphers", CCM_8]]
    if has_certificates(one):
        ways.append(["--cafile", str(keys / "authority.pem")])
    for way in ways:
        where = ["-h", "localhost", "-p", str(one.address[1]), "-q", "2", "-t", "tool", *way]
        subprocess.run(["mosquitto_pub", *where, "-r", "-m", "sealed"], check=True, timeout=board.DEADLINE_S)
        got = subprocess.run(["mosquitto_sub", *where, "-C", "1", "-F", "%t %q %r %p"], check=True, timeout=board.DEADLINE_S,
                             capture_output=True, text=True).stdout
        board.expect(got == "tool 2 1 sealed\n", f"mosquitto_sub got {got}")
        subprocess.run(["mosquitto_pub", *where, "-r", "-n"], check=True, timeout=board.DEADLINE_S)


def crowd(one, keys):
    """As many clients as there may be, all at once, and one too many; messages of every size that passes."""
    count = crowd_of(one)
    before = one.pools()["TLS bytes"][0]
    clients = [connected(one, f"client-{number}") for number in range(count)]
    each = (one.pools()["TLS bytes"][0] - before) // count
    print(f"{count} clients with shared keys, {each} bytes of the arena each")
    board.expect(each <= int(one.facts["tls_client_bytes"]), "that is more than was promised")
    if count == one.clients:
        late = Sealed(one.address, SHARED)
        board.expect(late.connect("late")[1] == 3, "one too many was not told that the board is full")
        late.cut()
    for client in clients:
        client.subscribe(("crowd/#", 1))
    for number, client in enumerate(clients):
        payload = bytes([number]) * (1, 400, 511, 512, 513, 1500)[number % 6]
        client.publish(f"crowd/{number}", payload, number % 3)
        for other in clients:
            got = other.receive_publish()
            board.expect((got.topic, got.payload) == (f"crowd/{number}", payload), f"{got} came instead of number {number}")
    for client in clients:
        client.cut()
    one.settled()
    # What is made with the first handshake and kept is there by now.
    board.expect(one.pools()["TLS bytes"][0] <= before + 2048, "the arena did not get everything back")


def stream(one, keys):
    """Many messages from one to another, who reads while they come: in order and complete."""
    reader, writer = connected(one, "reader"), connected(one, "writer")
    reader.subscribe(("stream", 1))
    count, filling = 300, b"0123456789" * 30

    def send():
        for number in range(count):
            writer.publish("stream", b"%d " % number + filling, 1)

    thread = threading.Thread(target=send)
    thread.start()
    for number in range(count):
        board.expect(reader.receive_publish().payload == b"%d " % number + filling, f"message {number} is missing or damaged")
    thread.join()
    reader.cut()
    writer.cut()


def refusals(one, keys):
    """Others go on while these are refused."""
    witness = connected(one, "witness")
    refused(one, [*SHARED[:-1], "nobody"], "its PSK identity is not in the list")
    refused(one, [*SHARED[:4], tls_keys.PSK[:-1] + "0", *SHARED[5:]], "the shared keys differ")
    refused(one, ["-tls1_1", "-cipher", "ALL:@SECLEVEL=0"], "does not offer TLS 1.2")
    refused(one, ["-tls1_2", "-cipher", "AES128-SHA"], "it offers no cipher that we have")
    if has_certificates(one):
        refused(one, [*certified(keys)[:2], keys / "stranger.pem", *certified(keys)[3:]], "it does not know the authority")
    with one.open() as plain:
        plain.send(wire.connect_packet("plain"))
        plain.expect_close()
    one.wait("failed: what it sent is not TLS")
    witness.ping()
    witness.cut()


def records_too_large(one, keys):
    """A record that the board cannot hold costs its connection; who keeps to the limit goes on."""
    limit = int(one.facts["tls_record_max"])
    if limit >= RECORD_MAX:
        return
    witness = connected(one, "witness")
    greedy = connected(one, "greedy")
    since = one.mark()
    greedy.send(wire.publish_packet("t", b"x" * (limit + 64)))
    greedy.expect_close()
    one.wait("^TLS with 10.0.2.2:.* failed: it sent a record that is too large for us", since=since)
    greedy.cut()
    witness.ping()
    witness.cut()


def stalled(one, keys):
    """Handshakes that were begun, and no more: they go by themselves, and others get in."""
    peers = [one.open() for _ in range(crowd_of(one))]
    for peer in peers:
        peer.send(b"\x16\x03\x01\x01")
    for peer in peers:
        peer.expect_close()
        peer.cut()
    connected(one, "after").cut()


def paho(one, keys):
    """Cases of tests/interop under Paho C: with a shared key, and where the board has one, with its certificate."""
    for program in OPTIONS.paho:
        ways = [["--psk", f"localhost:{one.address[1]}", tls_keys.IDENTITY, tls_keys.PSK]]
        if has_certificates(one):
            ways.append(["--tls", f"localhost:{one.address[1]}", keys / "authority.pem"])
        for way in ways:
            done = subprocess.run([program, f"{one.address[0]}:{one.address[1]}", "--small", "--only", PAHO_CASES, *way],
                                  capture_output=True, text=True, timeout=600, check=False)
            print(done.stdout, done.stderr, sep="")
            board.expect(done.returncode == 0, f"{program} {way[0]} ended with {done.returncode}")


CASES = [mosquitto, paho, crowd, stream, refusals, records_too_large, stalled]


def main():
    with board.Board(OPTIONS.board, guest_port=8883, variant="-tls") as one:
        for case in CASES:
            if not OPTIONS.cases or case.__name__ in OPTIONS.cases:
                print(f"{one.name}: {case.__name__}", flush=True)
                case(one, OPTIONS.keys)
                pools = one.settled()
        print(f"TLS: {pools['TLS bytes'][1]} of {pools['TLS bytes'][2]} bytes of the arena at most")
        board.stack_headroom(pools)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("board")
    parser.add_argument("keys", type=pathlib.Path)
    parser.add_argument("--paho", action="append", default=[])
    parser.add_argument("cases", nargs="*")
    OPTIONS = parser.parse_args()
    main()
