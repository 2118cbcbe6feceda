"""lwIP has no memory for what is to be sent: nothing is lost, and all of it goes out once there is some again.

    test_memory.py BOARD

The port keeps so much free that it hardly ever happens by itself. So the debugger takes lwIP's free segments away for a while.
"""

import sys

import board
import fixture
import gdb

MESSAGES = 5


def main(name):
    port = fixture.free_port()
    with board.Board(name, extra=["-gdb", f"tcp:127.0.0.1:{port}"]) as one:
        publisher, subscriber = one.client("publisher"), one.client("subscriber")
        subscriber.subscribe(("short/#", 1))
        publisher.ping()
        free_list = one.symbol("memp_tab_TCP_SEG")
        one.until(lambda pools: pools["TCP segments"][0] == 0, "what was said is never acknowledged")

        stopped = gdb.Gdb(port)
        segments = stopped.read(free_list, 4)
        board.expect(segments != bytes(4), "there was no free segment at the start")
        stopped.write(free_list, bytes(4))
        stopped.go()
        for number in range(MESSAGES):
            publisher.publish(f"short/{number}", f"{number}".encode() * 100, 0)
        one.until(lambda pools: pools["writes tried again"] > 0, "lwIP never said that it had no memory")
        subscriber.socket.setblocking(False)
        try:
            board.expect(not subscriber.socket.recv(1), "something was sent without a segment")
            raise board.Failure("the connection was closed")
        except BlockingIOError:
            pass
        subscriber.socket.settimeout(board.DEADLINE_S)

        stopped = gdb.Gdb(port)
        board.expect(stopped.read(free_list, 4) == bytes(4), "a segment came back while there was none to come")
        stopped.write(free_list, segments)
        stopped.go()
        for number in range(MESSAGES):
            message = subscriber.receive_publish()
            board.expect((message.topic, message.payload) == (f"short/{number}", f"{number}".encode() * 100),
                         f"got {message.topic} as number {number}")
        publisher.publish("short/afterwards", b"", 1)
        board.expect(subscriber.receive_publish().topic == "short/afterwards", "nothing went on afterwards")
        publisher.disconnect()
        subscriber.disconnect()
        one.settled()


if __name__ == "__main__":
    main(sys.argv[1])
