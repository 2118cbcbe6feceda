"""A pair of well-behaved clients that must not notice what others do to the broker beside them."""

import struct
import threading

import wire

class Pair:
    """Two clients that exchange numbered messages in a thread, QoS 0, 1 and 2 in turn, until they are stopped. Every message
    has to arrive, in order and once; what does not raises in stop()."""

    def __init__(self, address, name="healthy", payload_size=100, burst=20):
        self.burst = burst  # messages on their way at once; a board holds few identifiers for QoS 2
        self.topic = f"{name}/messages"
        self.subscriber = wire.connected(address, f"{name}-subscriber")
        self.publisher = wire.connected(address, f"{name}-publisher")
        self.subscriber.subscribe((self.topic, 2))
        self.padding = b"." * payload_size
        self.stopping = threading.Event()
        self.error = None
        self.exchanged = 0
        self.thread = threading.Thread(target=self._run, daemon=True)

    def start(self):
        self.thread.start()
        return self

    def _run(self):
        try:
            while not self.stopping.is_set():
                for qos in range(3):
                    self._exchange(qos)
        except (AssertionError, OSError, wire.Closed, wire.Timeout) as error:
            self.error = error

    def _exchange(self, qos):
        """Sends a burst and takes it, then the acknowledgements."""
        identifiers = [self.publisher.identifier() if qos else 0 for _ in range(self.burst)]
        for offset, packet_id in enumerate(identifiers):
            payload = b"%d " % (self.exchanged + offset) + self.padding
            self.publisher.send(wire.publish_packet(self.topic, payload, qos, packet_id))
        for packet_id in identifiers if qos else []:
            if qos == 1:
                self.publisher.await_answer(wire.PUBACK, packet_id)
            else:
                self.publisher.await_answer(wire.PUBREC, packet_id)
                self.publisher.send(wire.packet(wire.PUBREL, 2, struct.pack(">H", packet_id)))
        for packet_id in identifiers if qos == 2 else []:
            self.publisher.await_answer(wire.PUBCOMP, packet_id)
        for _ in range(self.burst):
            message = self.subscriber.receive_publish()
            expected = b"%d " % self.exchanged + self.padding
            assert (message.payload, message.qos, message.dup) == (expected, qos, False), \
                f"expected message {self.exchanged} at QoS {qos}, got {message.payload[:12]} at QoS {message.qos}"
            self.exchanged += 1

    def wait(self, more):
        """Waits until this many more messages have been exchanged, so that the test runs beside real traffic."""
        goal = self.exchanged + more
        while self.exchanged < goal and self.thread.is_alive():
            self.thread.join(0.01)

    def stop(self):
        """Ends the exchange; raises what went wrong."""
        self.stopping.set()
        self.thread.join()
        if self.error:
            raise AssertionError(f"the healthy pair, after {self.exchanged} messages: {self.error!r}") from self.error
        self.subscriber.disconnect()
        self.publisher.disconnect()
        print(f"the healthy pair exchanged {self.exchanged} messages", flush=True)
