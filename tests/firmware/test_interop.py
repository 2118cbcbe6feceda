"""Clients that others wrote against a board: the programs of tests/interop in their small form, and mosquitto_sub and _pub.

    test_interop.py BOARD PROGRAM...
"""

import subprocess
import sys

import board

DEADLINE_S = 600


def mosquitto(one):
    """A retained message, published by one program and received by another."""
    host, port = one.address
    where = ["-h", host, "-p", str(port)]
    for qos in "012":
        subprocess.run(["mosquitto_pub", *where, "-q", qos, "-r", "-t", f"tool/{qos}", "-m", f"by QoS {qos}"], check=True,
                       timeout=DEADLINE_S)
    got = subprocess.run(["mosquitto_sub", *where, "-q", "2", "-C", "3", "-t", "tool/+", "-F", "%t %q %r %p"], check=True,
                         timeout=DEADLINE_S, capture_output=True, text=True).stdout.splitlines()
    wanted = [f"tool/{qos} {qos} 1 by QoS {qos}" for qos in "012"]
    board.expect(sorted(got) == wanted, f"mosquitto_sub got {got}")
    for qos in "012":
        subprocess.run(["mosquitto_pub", *where, "-r", "-n", "-t", f"tool/{qos}"], check=True, timeout=DEADLINE_S)


def main(name, programs):
    with board.Board(name) as one:
        mosquitto(one)
        one.settled()
        for program in programs:
            done = subprocess.run([program, f"{one.address[0]}:{one.address[1]}", "--small"], timeout=DEADLINE_S,
                                  capture_output=True, text=True)
            print(done.stdout, done.stderr, sep="")
            board.expect(done.returncode == 0, f"{program} ended with {done.returncode}")
        board.stack_headroom(one.settled())


if __name__ == "__main__":
    main(sys.argv[1], sys.argv[2:])
