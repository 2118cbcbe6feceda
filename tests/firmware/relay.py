"""A bad network between a board and the host's clients, without any privileges.

The board's emulator sends each Ethernet frame as a UDP datagram to the relay; a second emulator without a machine (QEMU's user
network alone) is at the other end, and its TCP faces the host's clients. In between frames are dropped, duplicated and
reordered by a seeded generator.
"""

import random
import select
import socket
import subprocess
import threading

import board
import fixture

LOCAL = "127.0.0.1"


class Relay:
    """Probabilities are of each frame, in each direction. `silence` drops everything. `dhcp` is the address that DHCP gives."""

    def __init__(self, seed, drop=0.0, duplicate=0.0, reorder=0.0, dhcp="10.0.2.15"):
        self.random = random.Random(seed)
        self.drop, self.duplicate, self.reorder = drop, duplicate, reorder
        self.silence = False
        self.dhcp = dhcp
        self.said = []  # the board's frames
        self.counts = {"passed": 0, "dropped": 0, "duplicated": 0, "reordered": 0}
        self.sides = [self._socket(), self._socket()]
        self.peers = board.free_udp_ports(2)
        self.forwarded = fixture.free_port()
        self.ended = threading.Event()
        self.host = None

    @staticmethod
    def _socket():
        one = socket.socket(socket.AF_INET, socket.SOCK_DGRAM)
        one.bind((LOCAL, 0))
        return one

    def __enter__(self):
        threading.Thread(target=self._run, daemon=True).start()
        self.host = subprocess.Popen([
            "qemu-system-arm", "-machine", "none", "-display", "none", "-monitor", "none", "-serial", "none",
            "-netdev", f"user,id=user,restrict=on,ipv6=off,dhcpstart={self.dhcp},"
            f"hostfwd=tcp:{LOCAL}:{self.forwarded}-10.0.2.15:1883",
            "-netdev", f"socket,id=wire,{self._wire(1)}",
            "-netdev", "hubport,id=port0,hubid=0,netdev=user", "-netdev", "hubport,id=port1,hubid=0,netdev=wire"],
            stderr=subprocess.DEVNULL)
        return self

    def __exit__(self, *_):
        self.host.terminate()
        self.host.wait()
        self.ended.set()
        for one in self.sides:
            one.close()

    def _wire(self, side):
        return f"udp={LOCAL}:{self.sides[side].getsockname()[1]},localaddr={LOCAL}:{self.peers[side]}"

    def board_network(self):
        """The board's -nic."""
        return ["-nic", f"socket,{self._wire(0)}"]

    def _run(self):
        late = [None, None]  # a frame that the next one overtakes
        while not self.ended.is_set():
            try:
                ready = select.select(self.sides, [], [], 0.05)[0]
                for side in (0, 1):
                    if self.sides[side] in ready:
                        frame = self.sides[side].recv(65536)
                        late[side] = self._pass(side, frame, late[side])
                    elif late[side] is not None:
                        self._send(side, late[side])
                        late[side] = None
            except (OSError, ValueError):
                return

    def _send(self, side, frame):
        self.sides[1 - side].sendto(frame, (LOCAL, self.peers[1 - side]))
        self.counts["passed"] += 1

    def _pass(self, side, frame, late):
        """Returns the frame that is kept back."""
        if side == 0:
            self.said.append(frame)
        if self.silence or self.random.random() < self.drop:
            self.counts["dropped"] += 1
            return late
        if late is None and self.random.random() < self.reorder:
            self.counts["reordered"] += 1
            return frame
        self._send(side, frame)
        if self.random.random() < self.duplicate:
            self.counts["duplicated"] += 1
            self._send(side, frame)
        if late is not None:
            self._send(side, late)
        return None
