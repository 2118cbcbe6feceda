"""The power fails, or the cable is out, in the middle of traffic.

    test_cuts.py BOARD
"""

import sys

import board
import monitor
import talk
import wire

TALKERS = 8
KEEPALIVE_S = 4


def talkers(one, **options):
    """Clients with persistent sessions, each with a message of QoS 1 on its way to all of them."""
    clients = [one.client(f"talker-{number}", clean=False, **options) for number in range(TALKERS)]
    for client in clients:
        board.expect(client.subscribe(("talk", 1)) == [1], "subscribing failed")
    return clients


def power_fails(name):
    """The clients are cut off, come back, and begin again: nothing is kept. The console says why it started."""
    plug = monitor.Monitor()
    with board.Board(name, extra=plug.arguments) as one:
        clients = talkers(one)
        talk.say(clients, "before")
        since = one.mark()
        plug.reset()
        one.wait("^start: reset from outside or by the watchdog$", since=since)
        one.wait("^listening on port", since=since)
        for client in clients:
            try:
                client.send(wire.packet(wire.PINGREQ, 0, b""))
                client.expect_close()
            except wire.Closed:
                pass
            client.socket.close()
        clients = talkers(one)
        board.expect(not any(client.session_present for client in clients), "a session outlived the power")
        talk.say(clients, "after")
        talk.hear(clients, clients, "after")
        leave(one, clients)


def leave(one, clients):
    for number, client in enumerate(clients):
        client.disconnect()
        one.client(f"talker-{number}", clean=True).disconnect()
    board.stack_headroom(one.settled())


def cable_is_out_for_a_moment(name):
    """Nothing is lost, nobody is cut off."""
    cable = monitor.Monitor()
    with board.Board(name, extra=cable.arguments) as one:
        clients = talkers(one)
        since = one.mark()
        cable.cable(False)
        talk.say(clients, "moment")
        one.pools()
        cable.cable(True)
        talk.hear(clients, clients, "moment")
        board.expect(not [line for line in one.lines[since:] if line.startswith("Client ")], "somebody was cut off")
        leave(one, clients)


def cable_is_out_for_long(name):
    """The keep alive finds all of them, and what came for them waits until they are back."""
    cable = monitor.Monitor()
    with board.Board(name, extra=cable.arguments) as one:
        clients = talkers(one, keepalive=KEEPALIVE_S)
        since = one.mark()
        cable.cable(False)
        one.wait("exceeded keep alive", since=since, count=TALKERS)
        cable.cable(True)
        for client in clients:
            client.socket.close()
        publisher = one.client("publisher")
        publisher.publish("talk", "while away", 1)
        publisher.disconnect()
        clients = [one.client(f"talker-{number}", clean=False) for number in range(TALKERS)]
        for client in clients:
            board.expect(client.session_present, "a session was lost")
            board.expect(client.receive_publish().payload == b"while away", "what waited was lost")
        leave(one, clients)


def main(name):
    for case in (power_fails, cable_is_out_for_a_moment, cable_is_out_for_long):
        case(name)
        print(f"{case.__name__}: ok", flush=True)


if __name__ == "__main__":
    main(sys.argv[1])
