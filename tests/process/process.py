"""A program that runs beside the test: its log, and its end. Nothing outlives the test."""

import re
import subprocess
import threading

DEADLINE_S = 300


class Process:
    def __init__(self, command, environment=None):
        self.log = []
        self.changed = threading.Condition()
        self.process = subprocess.Popen(
            command, env=environment, stdin=subprocess.DEVNULL, stderr=subprocess.PIPE, text=True, errors="replace"
        )
        self.reader = threading.Thread(target=self._read, daemon=True)
        self.reader.start()

    def _read(self):
        for line in self.process.stderr:
            with self.changed:
                self.log.append(line.rstrip("\n"))
                self.changed.notify_all()
        with self.changed:
            self.changed.notify_all()

    def _matching(self, pattern):
        return [line for line in self.log if re.search(pattern, line)]

    def wait_log(self, pattern, count=1):
        """Waits until `count` lines match, and returns the last of them."""
        with self.changed:
            self.changed.wait_for(lambda: len(self._matching(pattern)) >= count or not self.reader.is_alive(), DEADLINE_S)
            found = self._matching(pattern)
            if len(found) < count:
                raise AssertionError(f"no line matches '{pattern}' in:\n" + "\n".join(self.log[-40:]))
            return found[-1]

    def address(self):
        """Where midge listens, once it does."""
        found = re.search(r"listening on (\S+) port (\d+)", self.wait_log(r"listening on 127\.0\.0\.1 port"))
        return found.group(1), int(found.group(2))

    def signal(self, number):
        self.process.send_signal(number)

    def end(self):
        """The status with which it ended."""
        status = self.process.wait(DEADLINE_S)
        self.reader.join(DEADLINE_S)
        return status

    def kill(self):
        if self.process.poll() is None:
            self.process.kill()
            self.process.wait()
        self.reader.join(DEADLINE_S)
        self.process.stderr.close()
