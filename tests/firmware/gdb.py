"""Just enough of GDB's remote protocol to push a running board off its path."""

import socket

SP, LR, PC = 13, 14, 15


class Gdb:
    """Stops the board; it runs on after `go`."""

    def __init__(self, port):
        self.socket = socket.create_connection(("127.0.0.1", port), timeout=300)
        self.buffer = b""
        self.socket.sendall(b"+\x03")
        self._answer()

    def _answer(self):
        while True:
            start, end = self.buffer.find(b"$"), self.buffer.find(b"#")
            if 0 <= start < end and len(self.buffer) >= end + 3:
                found, self.buffer = self.buffer[start + 1:end], self.buffer[end + 3:]
                self.socket.sendall(b"+")
                return found
            data = self.socket.recv(4096)
            assert data, "the emulator closed the connection"
            self.buffer += data

    def _send(self, command):
        self.socket.sendall(b"$" + command + b"#%02x" % (sum(command) & 255))

    def ask(self, command):
        self._send(command.encode())
        answer = self._answer()
        assert answer and not answer.startswith(b"E"), f"{command}: {answer!r}"
        return answer

    def pc(self):
        """Where it has stopped."""
        return int.from_bytes(bytes.fromhex(self.ask("g").decode()[PC * 8:(PC + 1) * 8]), "little")

    def jump(self, address, registers=None):
        """Goes on at `address`, with other values in `registers`: {number: value}."""
        found = self.ask("g").decode()
        for number, value in {**(registers or {}), PC: address}.items():
            found = found[:number * 8] + value.to_bytes(4, "little").hex() + found[(number + 1) * 8:]
        self.ask("G" + found)

    def read(self, address, size):
        return bytes.fromhex(self.ask(f"m{address:x},{size:x}").decode())

    def write(self, address, data):
        self.ask(f"M{address:x},{len(data):x}:{data.hex()}")

    def go(self):
        """Lets the board run, and leaves."""
        self._send(b"D")
        self._answer()
        self.socket.close()
