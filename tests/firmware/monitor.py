"""QEMU's monitor: pulls the plug of a board, or its cable."""

import json
import socket

import board
import fixture


class Monitor:
    """`arguments` are the emulator's, whose network is `n0`."""

    def __init__(self):
        self.port = fixture.free_port()
        self.arguments = ["-qmp", f"tcp:127.0.0.1:{self.port},server=on,wait=off"]

    def _do(self, command, **arguments):
        with socket.create_connection(("127.0.0.1", self.port), timeout=60) as monitor, monitor.makefile("rw") as stream:
            stream.readline()  # the greeting
            for name, values in (("qmp_capabilities", {}), (command, arguments)):
                stream.write(json.dumps({"execute": name, "arguments": values}) + "\n")
                stream.flush()
                answer = json.loads(stream.readline())
                while "event" in answer:
                    answer = json.loads(stream.readline())
                board.expect("return" in answer, f"{command}: {answer}")

    def reset(self):
        self._do("system_reset")

    def cable(self, plugged):
        self._do("set_link", name="n0", up=plugged)
