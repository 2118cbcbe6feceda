"""The board starts, says what it is, gets its address, and starts again after a fault or when its loop hangs."""

import re
import sys

import board
import gdb
import relay

# A part of the RAM that holds no code: the stack's lowest words, which the tests never reach.
SCRATCH = 0x20000000
UNDEFINED = bytes.fromhex("00de")
BRANCH_TO_ITSELF = bytes.fromhex("fee7")
WITHOUT_WATCHDOG = ("emcraft-sf2",)


def says_what_it_is(name):
    with board.Board(name) as one:
        one.wait(f"^Midge [0-9.]+ on {name}$")
        one.wait(r"^  broker: 1 of \d+ bytes$")
        one.wait(r"^  blocks: \d+ of \d+ bytes$")
        one.wait(r"^  together \d+ bytes, stack \d+ bytes$")
        one.wait(r"^address 10\.0\.2\.15 by DHCP")
        one.settled()


def says_who_comes_and_goes(name):
    """One line each."""
    with board.Board(name) as one:
        since = one.mark()
        one.client("guest", keepalive=60).disconnect()
        one.client("runaway").cut()
        stranger = one.open()
        board.expect(stranger.connect("", clean=False) == (0, 2), "a client without an identifier was not refused")
        stranger.expect_close()
        stranger.socket.close()
        one.wait("^Client runaway", since=since)
        one.wait("refused with return code 2", since=since)
        one.settled()
        said = [line for line in one.lines[since:] if "client" in line.lower()]
        peer = r"10\.0\.2\.2:\d+"
        for pattern in (rf"^New client connected from {peer} as guest \(new session, keep alive 60 s\)\.$",
                        rf"^Client guest at {peer} disconnected: client sent DISCONNECT",
                        rf"^New client connected from {peer} as runaway ",
                        r"^Client runaway .*disconnected: connection closed by",
                        rf"{peer} refused with return code 2"):
            found = [line for line in said if re.search(pattern, line)]
            board.expect(len(found) == 1, f"{len(found)} lines like {pattern} in {said}")
        board.expect(len(said) == 5, f"the console said {said}")


def falls_back_on_its_address(name):
    with relay.Relay(0) as wire:
        wire.silence = True
        with board.Board(name, network=wire.board_network()) as one:
            one.wait(r"^address 10\.0\.2\.15 built in: no answer to DHCP")
            wire.silence = False
            one.address = ("127.0.0.1", wire.forwarded)
            one.client("late").disconnect()


def run_scratch(name, instruction):
    """Puts one instruction into the scratch memory, sends the program there, and returns what the console said until the board
    listened again."""
    port = board.free_ports(1)[0]
    with board.Board(name, extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
        since = one.mark()
        stopped = gdb.Gdb(port)
        stopped.write(SCRATCH, instruction)
        stopped.jump(SCRATCH)
        stopped.go()
        one.wait("^listening on port", since=since)
        one.client("afterwards").disconnect()
        return one.lines[since:]


def survives_a_fault(name):
    said = run_scratch(name, UNDEFINED)
    reports = [line for line in said if line.startswith("fault:")]
    board.expect(len(reports) == 1 and f"pc={SCRATCH:08x}" in reports[0], f"the report does not name the place: {reports}")


def survives_a_hang(name):
    """Where the watchdog is wired to the NMI, that says where the program hung before it restarts."""
    said = run_scratch(name, BRANCH_TO_ITSELF)
    reports = [line for line in said if line.startswith("fault:")]
    board.expect(all("exception=00000002" in line for line in reports), f"that was a fault, not the watchdog: {reports}")


def main(name):
    cases = [says_what_it_is, says_who_comes_and_goes, falls_back_on_its_address, survives_a_fault]
    if name not in WITHOUT_WATCHDOG:
        cases.append(survives_a_hang)
    for case in cases:
        case(name)
        print(f"{case.__name__}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
