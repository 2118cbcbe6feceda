"""A machine that stands still does not make its clients silent: the library pauses holds up a turn of the loop."""

import os

import case
from case import wire


class TestPauses(case.Case):
    def test_a_client_that_came_in_the_turn_that_was_held_up_is_not_silent(self):
        self.start(environment=dict(os.environ, LD_PRELOAD=case.OPTIONS.library))
        client = wire.Client(self.midge.address())
        client.send(wire.connect_packet("early", keepalive=1))
        self.midge.wait_log("pauses: it stands still")
        client.send(wire.packet(wire.PINGREQ, 0))  # its 1.5 s are over when Midge reads this
        self.assertEqual([wire.CONNACK, wire.PINGRESP], [client.receive().type for _ in range(2)])


if __name__ == "__main__":
    case.main("midge", "library")
