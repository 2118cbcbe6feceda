"""A pair of well-behaved clients that must not notice what others do to the broker beside them."""

import struct
import threading

import wire


class Pair:
    """Two clients that exchange numbered messages, QoS 0, 1 and 2 in turn, until they are stopped. Every message has to arrive,
    in order and once; what does not raises in stop(). Each client has a thread of its own: a subscriber that reads only when
    its publisher has been answered would be a slow one."""

    def __init__(self, address, burst=20):
        self.burst = burst  # messages on their way at once; a board holds few identifiers for QoS 2
        self.subscriber = wire.connected(address, "healthy-subscriber")
        self.publisher = wire.connected(address, "healthy-publisher")
        self.subscriber.subscribe(("healthy/messages", 2))
        self.changed = threading.Condition()
        self.published = self.exchanged = 0
        self.stopping = self.finished = False
        self.errors = []
        self.threads = [threading.Thread(target=self._guard, args=(work,), daemon=True) for work in (self._publish, self._take)]

    def start(self):
        for thread in self.threads:
            thread.start()
        return self

    @staticmethod
    def _payload(number):
        return b"%d " % number + b"." * 100

    def _qos(self, number):
        return number // self.burst % 3

    def _guard(self, work):
        try:
            work()
        except (AssertionError, OSError, wire.Closed, wire.Timeout) as error:
            self.errors.append(f"{work.__name__}: {error!r}")
        with self.changed:
            self.changed.notify_all()

    def _publish(self):
        """Sends a burst, takes its acknowledgements, and waits until all of it has arrived."""
        while not self.stopping and not self.errors:
            qos = self._qos(self.published)
            identifiers = [self.publisher.identifier() if qos else 0 for _ in range(self.burst)]
            for packet_id in identifiers:
                payload = self._payload(self.published)
                self.publisher.send(wire.publish_packet("healthy/messages", payload, qos, packet_id))
                with self.changed:
                    self.published += 1
                    self.changed.notify_all()
            self._acknowledged(qos, identifiers)
            with self.changed:
                self.changed.wait_for(lambda: self.exchanged == self.published or self.errors)
        with self.changed:
            self.finished = True
            self.changed.notify_all()

    def _acknowledged(self, qos, identifiers):
        for packet_id in identifiers if qos else []:
            self.publisher.await_answer(wire.PUBACK if qos == 1 else wire.PUBREC, packet_id)
            if qos == 2:
                self.publisher.send(wire.packet(wire.PUBREL, 2, struct.pack(">H", packet_id)))
        for packet_id in identifiers if qos == 2 else []:
            self.publisher.await_answer(wire.PUBCOMP, packet_id)

    def _take(self):
        """Receives what has been published."""
        while True:
            with self.changed:
                self.changed.wait_for(lambda: self.exchanged < self.published or self.finished or self.errors)
                if self.errors or self.exchanged == self.published:
                    return
            message = self.subscriber.receive_publish()
            expected = (self._payload(self.exchanged), self._qos(self.exchanged), False)
            assert (message.payload, message.qos, message.dup) == expected, \
                f"expected message {self.exchanged} at QoS {expected[1]}, got {message.payload[:12]} at QoS {message.qos}"
            with self.changed:
                self.exchanged += 1
                self.changed.notify_all()

    def wait(self, more):
        """Waits until this many more messages have been exchanged, so that the test runs beside real traffic."""
        with self.changed:
            goal = self.exchanged + more
            self.changed.wait_for(lambda: self.exchanged >= goal or self.errors)

    def stop(self):
        """Ends the exchange; raises what went wrong."""
        with self.changed:
            self.stopping = True
            self.changed.notify_all()
        for thread in self.threads:
            thread.join()
        assert not self.errors, f"the healthy pair, after {self.exchanged} messages: {'; '.join(self.errors)}"
        self.subscriber.disconnect()
        self.publisher.disconnect()
        print(f"the healthy pair exchanged {self.exchanged} messages", flush=True)
