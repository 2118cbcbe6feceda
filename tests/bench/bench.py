"""Compares Midge with Mosquitto, and both with a raw relay, over loopback. See README.md.

    bench.py --build PATH [NAME...]    a NAME is that of a scenario or of a group (scenarios.py); all by default
"""

import argparse
import contextlib
import json
import os
import pathlib
import pwd
import resource
import shutil
import socket
import statistics
import subprocess
import sys
import tempfile
import time

import report
import scenarios

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import fixture  # noqa: E402

START_S = 120
RUN_S = 600
FILES = 65536


def cpus():
    """One for the broker, one for the load; the same where there is only one."""
    allowed = sorted(os.sched_getaffinity(0))
    return allowed[0], allowed[-1]


def raise_files():
    """For thousands of connections; Midge raises the limit itself, Mosquitto does not."""
    soft, hard = resource.getrlimit(resource.RLIMIT_NOFILE)
    with contextlib.suppress(ValueError, OSError):
        resource.setrlimit(resource.RLIMIT_NOFILE, (FILES, max(hard, FILES)))
        return
    resource.setrlimit(resource.RLIMIT_NOFILE, (hard if soft < hard else soft, hard))


def pin(cpu, scenario, user=None):
    """What a program does before it starts. Where time itself is measured it runs before everything else, if that is allowed,
    or the others on this machine would be measured. The kernel stops such a program after 0.95 s; runs are shorter."""

    def prepare():
        os.sched_setaffinity(0, {cpu})
        if scenario.first:
            with contextlib.suppress(OSError):
                os.sched_setscheduler(0, os.SCHED_FIFO, os.sched_param(1))
        if user is not None and os.geteuid() == 0:
            os.setgroups([])
            os.setgid(user.pw_gid)
            os.setuid(user.pw_uid)

    return prepare


class Bench:
    def __init__(self, build, programs):
        self.load = build / "tests" / "bench" / "load"
        # Where the user can read them that the brokers run as.
        self.copies = tempfile.TemporaryDirectory()
        os.chmod(self.copies.name, 0o755)
        relay, midge = (shutil.copy(build / name, self.copies.name) for name in ("tests/bench/relay", "midge"))
        self.commands = {
            "relay": lambda config, port: [relay, str(port)],
            "midge": lambda config, port: [midge, "-c", config],
            "mosquitto": lambda config, port: ["/usr/sbin/mosquitto", "-c", config],
        }
        self.programs = programs
        self.broker_cpu, self.load_cpu = cpus()
        self.perf = shutil.which("perf")
        # As a service manager starts them. As root they would look for users, and the libraries of that are not theirs.
        self.user = pwd.getpwnam("nobody")

    @contextlib.contextmanager
    def running(self, program, scenario, folder):
        """Starts a program, and yields its port and process."""
        port = fixture.free_port()
        lines = [f"listener {port} 127.0.0.1", *scenarios.CONFIG, *scenario.config]
        if program == "midge":
            lines += scenario.midge_config
        config = pathlib.Path(folder) / "broker.conf"
        config.write_text("\n".join(lines) + "\n", encoding="utf-8")
        os.chmod(folder, 0o755)
        process = subprocess.Popen(
            self.commands[program](str(config), port),
            stdin=subprocess.DEVNULL,
            stdout=subprocess.DEVNULL,
            stderr=subprocess.DEVNULL,
            preexec_fn=pin(self.broker_cpu, scenario, self.user),
        )
        try:
            self._wait_until_it_listens(process, port, program)
            yield port, process
        finally:
            process.kill()
            process.wait()

    @staticmethod
    def _wait_until_it_listens(process, port, program):
        deadline = time.monotonic() + START_S
        while time.monotonic() < deadline and process.poll() is None:
            with contextlib.suppress(OSError), socket.create_connection(("127.0.0.1", port), 1):
                return
            time.sleep(0.02)
        raise SystemExit(f"bench: {program} does not listen")

    def run_load(self, scenario, port, pid):
        command = [str(self.load), "--port", str(port), "--pid", str(pid)]
        for name, value in scenario.options.items():
            command += [f"--{name}", str(value)]
        done = subprocess.run(
            command,
            stdin=subprocess.DEVNULL,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
            timeout=RUN_S,
            preexec_fn=pin(self.load_cpu, scenario),
            check=False,
        )
        if done.returncode != 0:
            return {"error": done.stderr.strip()}
        return {name: float(value) for name, value in (line.split() for line in done.stdout.splitlines())}

    def once(self, program, scenario):
        with tempfile.TemporaryDirectory() as folder, self.running(program, scenario, folder) as (port, process):
            return self.run_load(scenario, port, process.pid)

    def system_calls(self, program, scenario):
        """System calls for each delivery, in a run of its own since counting costs time. None where perf cannot count."""
        if self.perf is None or scenario.group != "speed":
            return None
        with tempfile.TemporaryDirectory() as folder, self.running(program, scenario, folder) as (port, process):
            counts = pathlib.Path(folder) / "perf"
            counter = subprocess.Popen(
                [self.perf, "stat", "-x,", "-o", str(counts), "-e", "raw_syscalls:sys_enter", "-p", str(process.pid)],
                stdin=subprocess.DEVNULL,
                stderr=subprocess.DEVNULL,
            )
            time.sleep(0.5)
            result = self.run_load(scenario, port, process.pid)
            counter.send_signal(2)
            counter.wait()
            deliveries = result.get("all_deliveries", result.get("deliveries", 0))
            for line in counts.read_text(encoding="utf-8").splitlines() if counts.exists() else []:
                fields = line.split(",")
                if len(fields) > 2 and fields[2].startswith("raw_syscalls") and fields[0].isdigit() and deliveries:
                    return int(fields[0]) / deliveries
        return None

    def programs_of(self, scenario):
        for program in self.programs:
            if program == "midge" or (program == "relay" and scenario.relay):
                yield program
            elif program == "mosquitto" and not scenario.only_midge:
                yield program

    def measure(self, scenario, repetitions):
        """The programs take turns, so that what else the machine does hits all of them."""
        runs = {program: [] for program in self.programs_of(scenario)}
        for _ in range(repetitions):
            for program, results in runs.items():
                results.append(self.once(program, scenario))
        medians = {}
        for program, results in runs.items():
            errors = sorted({result["error"] for result in results if "error" in result})
            good = [derive(result) for result in results if "error" not in result]
            medians[program] = {"errors": errors, "runs": len(good)}
            for name in good[0] if good else ():
                medians[program][name] = statistics.median(result[name] for result in good)
            calls = self.system_calls(program, scenario)
            if calls is not None:
                medians[program]["system_calls"] = calls
        return medians


def derive(result):
    """What is compared: costs of one delivery, one connection."""
    if result.get("deliveries"):
        result["cpu_us"] = result["cpu_ns"] / result["deliveries"] / 1e3
        result["rate"] = result["deliveries"] / result["wall_ns"] * 1e9
    return result


def chosen(names):
    known = {scenario.name for scenario in scenarios.ALL} | {scenario.group for scenario in scenarios.ALL}
    unknown = [name for name in names if name not in known]
    if unknown:
        raise SystemExit(f"bench: there is no {' '.join(unknown)}; there are: {' '.join(sorted(known))}")
    return [scenario for scenario in scenarios.ALL if not names or scenario.name in names or scenario.group in names]


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--build", type=pathlib.Path, required=True)
    parser.add_argument("--repetitions", type=int, default=5)
    parser.add_argument("--programs", default="relay,midge,mosquitto")
    parser.add_argument("names", nargs="*")
    arguments = parser.parse_args()
    raise_files()
    bench = Bench(arguments.build, arguments.programs.split(","))
    folder = arguments.build / "bench"
    folder.mkdir(exist_ok=True)
    path = folder / "results.json"
    results = json.loads(path.read_text(encoding="utf-8")) if path.exists() else {}
    for scenario in chosen(arguments.names):
        print(f"{scenario.group}: {scenario.title}", end=" ", flush=True)
        measured = bench.measure(scenario, arguments.repetitions)
        results.setdefault(scenario.name, {}).update(measured)
        print(report.one_line(measured), flush=True)
        path.write_text(json.dumps(results, indent=1), encoding="utf-8")
    report.write(folder, results)
    print(f"\n{(folder / 'report.md').read_text(encoding='utf-8')}\nThis table and its plots lie in {folder}.")
    return 0


if __name__ == "__main__":
    sys.exit(main())
