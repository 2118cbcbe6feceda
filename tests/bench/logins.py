"""What logins cost those who are there already: the round trips of a paced client, with and without 50 logins whose passwords
are hashed with 100,000 iterations. Prints the figures; nothing is judged.

    python3 tests/bench/logins.py --midge build/release/midge
"""

import argparse
import pathlib
import subprocess
import sys
import tempfile
import time

ROOT = pathlib.Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "interop"), str(ROOT / "process")]
import wire  # noqa: E402
from process import Process  # noqa: E402

LOGINS = 50
PACE_S = 0.005


def round_trips(paced, until):
    """The round trips in microseconds of a PINGREQ every 5 ms."""
    times = []
    while not until():
        begun = time.perf_counter()
        paced.ping()
        taken = time.perf_counter() - begun
        times.append(taken * 1e6)
        time.sleep(max(0, PACE_S - taken))
    return sorted(times)


def report(name, times):
    parts = [f"{label} {times[min(int(len(times) * share), len(times) - 1)]:.0f}" for label, share in
             (("p50", 0.5), ("p90", 0.9), ("p99", 0.99), ("max", 1))]
    print(f"{name}: {', '.join(parts)} us, {len(times)} round trips")


def measure(midge, iterations):
    with tempfile.TemporaryDirectory() as folder:
        users, path = pathlib.Path(folder) / "users", pathlib.Path(folder) / "midge.conf"
        subprocess.run([midge, "passwd", "-c", "-i", str(iterations), "-b", users, "u", "pw"], check=True)
        path.write_text(f"listener 0 127.0.0.1\nallow_anonymous true\npassword_file {users}\n", encoding="ascii")
        broker = Process([midge, "-c", str(path)])
        try:
            address = broker.address()
            paced = wire.connected(address, "paced")
            end = time.perf_counter() + 5
            report("without logins", round_trips(paced, lambda: time.perf_counter() > end))
            begun = time.perf_counter()
            clients = [wire.Client(address) for _ in range(LOGINS)]
            for number, client in enumerate(clients):
                client.send(wire.connect_packet(f"c{number}", username="u", password="pw"))

            def all_in():
                return len([line for line in broker.log if "New client connected" in line]) > LOGINS

            report(f"{LOGINS} logins at {iterations} iterations", round_trips(paced, all_in))
            print(f"all were in after {time.perf_counter() - begun:.1f} s")
        finally:
            broker.kill()


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--midge", required=True)
    parser.add_argument("--iterations", type=int, default=100000)
    options = parser.parse_args()
    measure(options.midge, options.iterations)
