"""A machine that stands still does not make its clients silent: the library pauses holds up a turn of the loop."""

import os

import case
from case import wire


class TestPauses(case.Case):
    def test_a_client_that_came_in_the_turn_that_was_held_up_is_not_silent(self):
        self.start(environment=dict(os.environ, LD_PRELOAD=case.OPTIONS.library))
        client = wire.Client(self.midge.address())
        # Its 1.5 s are over when Midge reads this.
        self.assertEqual((0, 0), client.connect("early", keepalive=1))
        client.ping()
        client.disconnect()
        self.midge.wait_log("early.* disconnected: client sent DISCONNECT")


if __name__ == "__main__":
    case.main("midge", "library")
