"""What `./dev firmware BOARD [--run]` prints is true: the table, and the commands shown, which reach the board.

    test_run.py BOARD
"""

import os
import re
import shlex
import struct
import subprocess
import sys
import threading

import board
import fixture

END_OF_QEMU = b"\x01x"


def image(name):
    """The table is printed, and there are both images: the plain one begins with the stack's end and the start address."""
    folder = board.ROOT / "build" / "firmware" / name
    shown = subprocess.check_output([board.ROOT / "boards" / "build.sh", name], text=True)
    board.expect(shown == (folder / "midge.txt").read_text(encoding="ascii") and "together" in shown, f"it printed {shown}")
    one = board.Board(name)
    vectors = struct.pack("<II", one.symbol("midge_stack_end"), one.symbol("midge_cortex_m_reset") | 1)
    board.expect((folder / "midge.bin").read_bytes().startswith(vectors), "midge.bin does not begin with the vectors")


def main(name):
    image(name)
    port = fixture.free_port()
    command = [board.ROOT / "boards" / "build.sh", name, "--quiet", "--run", str(port)]
    with subprocess.Popen(command, stdin=subprocess.PIPE, stdout=subprocess.PIPE) as run:
        watch = threading.Timer(board.DEADLINE_S, run.kill)
        watch.start()
        said = b""
        while not re.search(rb"^listening on port 1883\r", said, flags=re.M):
            data = os.read(run.stdout.fileno(), 4096)
            board.expect(data, f"it ended: {said}")
            said += data
        subscribe, publish = (shlex.split(re.search(rf"^ +({tool} .*?)\r?$", said.decode(), flags=re.M).group(1))
                              for tool in ("mosquitto_sub", "mosquitto_pub"))
        subprocess.run([*publish, "-r"], check=True, timeout=board.DEADLINE_S)
        got = subprocess.run([*subscribe, "-C", "1"], check=True, timeout=board.DEADLINE_S, capture_output=True, text=True)
        board.expect(got.stdout == "test/hello world\n", f"mosquitto_sub got {got.stdout}")
        run.stdin.write(END_OF_QEMU)
        run.stdin.flush()
        board.expect(run.wait(board.DEADLINE_S) == 0, "it ended in another way")
        watch.cancel()


if __name__ == "__main__":
    main(sys.argv[1])
