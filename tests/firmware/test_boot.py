"""The board starts, says what it is, gets its address, and starts again after a fault or when its loop hangs."""

import re
import sys

import board
import fixture
import gdb
import relay

# A part of the RAM that holds no code: the stack's lowest words, which the tests never reach.
SCRATCH = "midge_stack_start"
DHCP_SERVER_PORT = (67).to_bytes(2, "big")
DHCP_HOST_NAME = bytes([12, len("midge")]) + b"midge"
UNDEFINED = bytes.fromhex("00de")
BRANCH_TO_ITSELF = bytes.fromhex("fee7")
HARD_FAULT, UNDEFINED_INSTRUCTION, ESCALATED = 3, 1 << 16, 1 << 30


def says_what_it_is(name):
    with board.Board(name) as one:
        one.wait(f"^Midge [0-9.]+ on {name}$")
        one.wait("^start: power on$")
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
        board.expect(any(re.search(r"10\.0\.2\.2:\d+ > 10\.0\.2\.15:1883 SYN ", line) for line in one.frames(1000)),
                     "the frames do not show that anybody came")
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


def says_its_name_to_dhcp(frame):
    """Is this a question to a DHCP server, with the host's name in it?"""
    return frame[36:38] == DHCP_SERVER_PORT and DHCP_HOST_NAME in frame


def falls_back_on_its_address(name):
    """And asks on, until a DHCP server answers. When that address is gone (a lease that nobody renewed; here by the debugger),
    it does so again."""
    port = fixture.free_port()
    with relay.Relay(0, dhcp="10.0.2.20") as wire:
        wire.silence = True
        with board.Board(name, network=wire.board_network(), extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
            one.wait(r"^address 10\.0\.2\.15 built in: no answer to DHCP")
            wire.silence = False
            one.address = ("127.0.0.1", wire.forwarded)
            one.client("late").disconnect()
            one.wait(r"^address 10\.0\.2\.20 by DHCP")
            board.expect(any(map(says_its_name_to_dhcp, wire.said)), "DHCP was not told the host's name")
            since = one.mark()
            stopped = gdb.Gdb(port)
            stopped.write(one.symbol("interface"), bytes(4))
            stopped.go()
            one.wait(r"^address 10\.0\.2\.15 ", since=since)  # lwIP's DHCP does not know of the debugger


def run_scratch(name, instruction, registers=None):
    """Puts one instruction into the scratch memory, sends the program there with these registers ("scratch" is that memory's
    address), and returns the report of the fault and where that memory is, once the board listens again."""
    port = fixture.free_port()
    with board.Board(name, extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
        since = one.mark()
        stopped = gdb.Gdb(port)
        scratch = one.symbol(SCRATCH)
        stopped.write(scratch, instruction)
        stopped.jump(scratch, {number: value + scratch if number == gdb.SP else value
                               for number, value in (registers or {}).items()})
        stopped.go()
        one.wait("^listening on port", since=since)
        one.client("afterwards").disconnect()
        reports = [line for line in one.lines[since:] if line.startswith("fault:")]
        one.wait("^start: restarted by the program$" if reports else "^start: reset from outside or by", since=since)
        return reports, scratch


def survives_a_fault(name):
    """The report has the registers as they were, and why."""
    values = {number: 0x11111111 * (number + 1) for number in (0, 1, 2, 3, 12, gdb.LR)}
    reports, scratch = run_scratch(name, UNDEFINED, values)
    board.expect(len(reports) == 1, f"not one report: {reports}")
    said = dict(word.split("=") for word in reports[0].split()[1:])
    wanted = {**{f"r{number}": value for number, value in values.items() if number != gdb.LR}, "lr": values[gdb.LR],
              "pc": scratch, "exception": HARD_FAULT, "cfsr": UNDEFINED_INSTRUCTION, "hfsr": ESCALATED}
    wrong = {key: said.get(key) for key, value in wanted.items() if said.get(key) != f"{value:08x}"}
    board.expect(not wrong, f"the report says {wrong} instead of {wanted}: {reports[0]}")


def survives_a_full_stack(name):
    """Where the frame does not fit, the report goes without it."""
    reports, _ = run_scratch(name, UNDEFINED, {gdb.SP: 64})
    board.expect(len(reports) == 1 and "r0=" not in reports[0] and " sp=00000000 " in reports[0], f"the report: {reports}")


def survives_a_hang(name):
    """Where the watchdog is wired to the NMI, that says where the program hung before it restarts."""
    reports, _ = run_scratch(name, BRANCH_TO_ITSELF)
    board.expect(all("exception=00000002" in line for line in reports), f"that was a fault, not the watchdog: {reports}")


def main(name):
    cases = [says_what_it_is, says_who_comes_and_goes, falls_back_on_its_address, survives_a_fault,
             survives_a_full_stack]
    if "watchdog" in board.facts(name)["has"].split():
        cases.append(survives_a_hang)
    for case in cases:
        case(name)
        print(f"{case.__name__}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
