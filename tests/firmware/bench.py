"""What one message costs on a Cortex-M3, in instructions, by part of the image.

    bench.py BOARD COUNT_SO [--messages N] [--check]

Counts the instructions of a run with N messages and of one with none; the difference over N is a message's cost, with the
driver, lwIP, the acknowledgements of TCP and the loop around it. A message has 32 bytes of payload and the next one is sent
when the last one has arrived. While the board waits for the host its clock ticks: what an idle tick costs is measured too, and
taken off. The counts vary by about one percent from run to run.

The broker's part is what runs in the functions of broker/, without those of the C library that they call. What a board takes
without a broker (echo.c) is shown for comparison: one connection that hears itself, and two, where one hears the other.

--check measures only QoS 0, and fails where a budget is exceeded three times in a row.
"""

import argparse
import bisect
import collections
import os
import re
import socket
import sys
import tempfile
import time

import board

sys.path.insert(0, str(board.ROOT / "boards"))
import sizes  # noqa: E402

# Instructions for a message at QoS 0, from one client to another.
BUDGET_ALL, BUDGET_BROKER = 6600, 1500
ATTEMPTS = 3
IDLE_TICKS_MIN = 100
TICKS = "ticks"
PAYLOAD = b"0123456789abcdef0123456789abcdef"


class Parts:
    """Which part of the image an address belongs to: from the linker's map."""

    def __init__(self, map_path):
        text = open(map_path, encoding="utf-8", errors="replace").read()
        text = text[text.index("Linker script and memory map"):]
        text = re.sub(r"\n (\.\S+)\n +0x", r"\n \1 0x", text)
        found = []
        for match in re.finditer(r"\n \.text\S*\s+0x([0-9a-f]+)\s+0x([0-9a-f]+) (.*)", text):
            if int(match.group(2), 16):
                found.append((int(match.group(1), 16), sizes.part_of(match.group(3))))
        self.found = sorted(found)
        self.starts = [start for start, _ in self.found]

    def of(self, address):
        index = bisect.bisect(self.starts, address) - 1
        return self.found[index][1] if index >= 0 else "fill"


def counted(name, image, plugin, guest_port, run):
    """The instructions of one run by part, and how often the clock ticked."""
    with tempfile.TemporaryDirectory() as folder:
        path = os.path.join(folder, "counts")
        one = board.Board(name, image=image, guest_port=guest_port, extra=["-plugin", f"{plugin},out={path}"])
        with one:
            run(one)
        parts = Parts(one.image.with_suffix(".map"))
        sums = collections.Counter()
        tick = one.symbol("midge_cortex_m_tick") & ~1
        with open(path, encoding="ascii") as file:
            for line in file:
                address, count = line.split()
                sums[parts.of(int(address))] += int(count)
                sums[TICKS] += int(count) if int(address) == tick else 0
        return sums


def idle_tick(name, image, plugin, guest_port):
    """The instructions from one tick to the next when nothing happens. Where the machine stands still, the board has fewer of
    them than the time had."""
    short = counted(name, image, plugin, guest_port, lambda one: time.sleep(1))
    long, seconds = short, 4
    while long[TICKS] - short[TICKS] < IDLE_TICKS_MIN:
        long = counted(name, image, plugin, guest_port, lambda one, wait=seconds: time.sleep(wait))
        seconds *= 2
    return {part: (long[part] - short[part]) / (long[TICKS] - short[TICKS]) for part in long if part != TICKS}


def per_message(name, image, plugin, guest_port, scenario, messages, idle):
    few = counted(name, image, plugin, guest_port, lambda one: scenario(one, messages // 10))
    many = counted(name, image, plugin, guest_port, lambda one: scenario(one, messages + messages // 10))
    ticks = many[TICKS] - few[TICKS]
    return {part: (many[part] - few[part] - ticks * idle.get(part, 0)) / messages for part in many if part != TICKS}


def plain(one):
    peer = socket.create_connection(one.address)
    peer.setsockopt(socket.IPPROTO_TCP, socket.TCP_NODELAY, 1)
    peer.settimeout(board.DEADLINE_S)
    return peer


def exchange(sender, receiver, messages):
    for _ in range(messages):
        sender.sendall(PAYLOAD)
        got = b""
        while len(got) < len(PAYLOAD):
            data = receiver.recv(4096)
            board.expect(data, "the board closed the connection")
            got += data


def echo(one, messages):
    with plain(one) as peer:
        exchange(peer, peer, messages)


def pass_on(one, messages):
    """From one connection to another: the first one has to be there before."""
    with plain(one) as receiver:
        exchange(receiver, receiver, 1)
        with plain(one) as sender:
            exchange(sender, receiver, messages)


def publish(qos):
    def run(one, messages):
        publisher, subscriber = one.client("publisher"), one.client("subscriber")
        subscriber.subscribe(("bench/m3", qos))
        for _ in range(messages):
            publisher.publish("bench/m3", PAYLOAD, qos)
            subscriber.receive_publish()
    return run


def broken_budgets(sums):
    """What exceeds its budget, in words."""
    wrong = []
    if sum(sums.values()) > BUDGET_ALL:
        wrong.append(f"a message at QoS 0 costs {sum(sums.values()):,.0f} instructions where the budget is {BUDGET_ALL:,}")
    if sums["broker"] > BUDGET_BROKER:
        wrong.append(f"the broker's part of it is {sums['broker']:,.0f} where the budget is {BUDGET_BROKER:,}")
    return wrong


def check(measure):
    for _ in range(ATTEMPTS):
        sums = measure()
        wrong = broken_budgets(sums)
        print(f"{sum(sums.values()):,.0f} instructions, of them the broker's {sums['broker']:,.0f}", *wrong, sep="\n")
        if not wrong:
            return 0
    return 1


def main():
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("board")
    parser.add_argument("plugin")
    parser.add_argument("--messages", type=int, default=2000)
    parser.add_argument("--check", action="store_true")
    options = parser.parse_args()

    def bench(image, port):
        run = (options.board, image, options.plugin, port)
        idle = idle_tick(*run)
        return lambda scenario: per_message(*run, scenario, options.messages, idle)

    if options.check:
        return check(lambda: bench("midge", 1883)(publish(0)))
    midge, without = bench("midge", 1883), bench("echo", 7)
    rows = [("echo, no broker", without(echo)), ("two connections, no broker", without(pass_on))]
    published = [(f"PUBLISH at QoS {qos}, one subscriber", midge(publish(qos))) for qos in (0, 1, 2)]
    rows += published
    parts = sorted({part for _, sums in rows for part in sums if part != "fill"})
    print(f"Instructions for a message of {len(PAYLOAD)} bytes on {options.board} ({options.messages} messages)")
    print(f"{'':<34}" + "".join(f"{part:>11}" for part in parts) + f"{'together':>11}")
    for title, sums in rows:
        print(f"{title:<34}" + "".join(f"{sums.get(part, 0):>11,.0f}" for part in parts) + f"{sum(sums.values()):>11,.0f}")
    wrong = broken_budgets(published[0][1])
    print(*wrong, sep="\n", file=sys.stderr)
    return 1 if wrong else 0


if __name__ == "__main__":
    sys.exit(main())
