"""What logins cost those who are there already: the round trips of a paced client, with and without 50 logins whose passwords
are hashed with 100,000 iterations. Prints the figures; nothing is judged.

    python3 tests/bench/logins.py --midge build/release/midge

Both kinds of time take turns, so that what else the machine does meets both. The paced client has the last CPU; the broker,
with its thread that hashes, has the first one, and then both. As root, both have a priority above the rest of the machine.
"""

import argparse
import os
import pathlib
import statistics
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
QUIET_S = 4
SHARES = (("p50", 0.5), ("p90", 0.9), ("p99", 0.99))


def round_trips(paced, until):
    """Of a PINGREQ every 5 ms: how many microseconds each of SHARES of them took at most."""
    times = []
    while not until():
        begun = time.perf_counter()
        paced.ping()
        taken = time.perf_counter() - begun
        times.append(taken * 1e6)
        time.sleep(max(0, PACE_S - taken))
    times.sort()
    return {label: times[int(len(times) * share)] for label, share in SHARES}


class Bench:
    def __init__(self, midge, iterations, folder, cpus):
        users, path = pathlib.Path(folder) / "users", pathlib.Path(folder) / "midge.conf"
        subprocess.run([midge, "passwd", "-c", "-i", str(iterations), "-b", users, "u", "pw"], check=True)
        path.write_text(f"listener 0 127.0.0.1\nallow_anonymous true\npassword_file {users}\n", encoding="ascii")
        first = ["nice", "-n", "-15"] if os.geteuid() == 0 else []
        self.broker = Process([*first, "taskset", "--cpu-list", ",".join(map(str, cpus)), midge, "-c", str(path)])
        self.address = self.broker.address()
        self.paced = wire.connected(self.address, "paced")

    def quiet(self):
        end = time.perf_counter() + QUIET_S
        return round_trips(self.paced, lambda: time.perf_counter() > end)

    def logins(self):
        """The round trips while all come in, and the seconds that this takes."""
        before = self.came_in()
        begun = time.perf_counter()
        clients = [wire.Client(self.address) for _ in range(LOGINS)]
        for number, client in enumerate(clients):
            client.send(wire.connect_packet(f"c{number}", username="u", password="pw"))
        times = round_trips(self.paced, lambda: self.came_in() == before + LOGINS)
        seconds = time.perf_counter() - begun
        for client in clients:
            client.cut()
        return times, seconds

    def came_in(self):
        return sum(" as c" in line for line in self.broker.log)


def measure(bench, rounds):
    pairs, seconds = [], []
    for number in range(rounds):
        quiet = bench.quiet() if number % 2 == 0 else None
        times, taken = bench.logins()
        pairs.append((quiet or bench.quiet(), times))
        seconds.append(taken)
    for label, _ in SHARES:
        without, during = ([pair[i][label] for pair in pairs] for i in (0, 1))
        ratios = sorted(b / a for a, b in zip(without, during))
        print(f"  {label}: {statistics.median(without):5.0f} us without, {statistics.median(during):5.0f} us during logins; "
              f"ratio {statistics.median(ratios):.2f} ({ratios[0]:.2f} .. {ratios[-1]:.2f})")
    print(f"  all were in after {statistics.median(seconds):.1f} s", flush=True)


if __name__ == "__main__":
    parser = argparse.ArgumentParser()
    parser.add_argument("--midge", required=True)
    parser.add_argument("--iterations", type=int, default=100000)
    parser.add_argument("--rounds", type=int, default=7)
    options = parser.parse_args()
    first, *_, last = sorted(os.sched_getaffinity(0))
    os.sched_setaffinity(0, {last})
    if os.geteuid() == 0:
        os.sched_setscheduler(0, os.SCHED_FIFO | os.SCHED_RESET_ON_FORK, os.sched_param(1))
    for broker_cpus in ([first], [first, last]):
        with tempfile.TemporaryDirectory() as place:
            made = Bench(options.midge, options.iterations, place, broker_cpus)
            try:
                print(f"{LOGINS} logins at {options.iterations} iterations, broker on CPU {broker_cpus}:")
                measure(made, options.rounds)
            finally:
                made.broker.kill()
