"""What `./dev firmware BOARD --run` prints is true: the board listens, and the commands shown reach it.

    test_run.py BOARD
"""

import os
import re
import shlex
import subprocess
import sys
import threading

import board

END_OF_QEMU = b"\x01x"


def main(name):
    port = board.free_ports(1)[0]
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
