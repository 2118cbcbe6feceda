"""The user name of a client that its certificate or its shared key tells, and what that name may do."""

import pathlib

import case
import wire
from case import Case


class TestIdentity(Case):
    def setUp(self):
        super().setUp()
        self.rules = self.folder / "rules"

    def may_write(self, name, context, topic="own/data"):
        """Whether what this client publishes reaches somebody who may read everything."""
        with wire.connected(self.plain, "reader") as reader:
            reader.subscribe(("#", 0))
            writer = case.Client(self.address, context)
            self.assertEqual(0, writer.connect(name)[1])
            writer.publish(topic, b"from the client", 1)
            writer.disconnect()
            with wire.connected(self.plain, "marker") as marker:
                marker.publish("marker", b"", 1)
            topics = [reader.receive_publish().topic]
            if topics != ["marker"]:
                topics.append(reader.receive_publish().topic)
            return topics == [topic, "marker"]

    def begin(self, user, *lines):
        """Only this user may publish to own/data; the plain listener is for everybody."""
        self.rules.write_text(f"topic read #\ntopic readwrite marker\nuser {user}\ntopic write own/data\n", encoding="utf-8")
        self.start(f"acl_file {self.rules}", *lines)

    def test_common_name(self):
        self.begin("device 7", *self.mutual(), "use_identity_as_username true")
        other = self.pki.authority.issue("other", "/CN=device 8")
        self.assertTrue(self.may_write("seven", self.pki.context(self.pki.client)))
        self.assertFalse(self.may_write("eight", self.pki.context(other)))

    def test_subject(self):
        """As OpenSSL and Mosquitto write it: the last part first, and what is special escaped."""
        self.begin("CN=device 7,O=Works\\, Inc,C=DE", *self.mutual(), "use_subject_as_username true")
        other = self.pki.authority.issue("other", "/C=DE/O=Works/CN=device 7")
        self.assertTrue(self.may_write("seven", self.pki.context(self.pki.client)))
        self.assertFalse(self.may_write("eight", self.pki.context(other)))

    def test_the_name_a_client_gives_does_not_count(self):
        self.begin("device 7", *self.mutual(), "use_identity_as_username true")
        other = self.pki.context(self.pki.authority.issue("other", "/CN=device 8"))
        client = case.Client(self.address, other)
        self.assertEqual(0, client.connect("liar", username="device 7", password=b"x")[1])
        with wire.connected(self.plain, "reader") as reader:
            reader.subscribe(("#", 0))
            client.publish("own/data", b"", 1)
            with wire.connected(self.plain, "marker") as marker:
                marker.publish("marker", b"", 1)
            self.assertEqual("marker", reader.receive_publish().topic)
        client.disconnect()

    def test_certificate_without_a_name(self):
        self.start(*self.mutual(), "use_identity_as_username true")
        client = case.Client(self.address, self.pki.context(self.pki.authority.issue("nameless", "/O=Works")))
        self.assertEqual(5, client.connect("nameless")[1])
        client.expect_close()
        self.midge.wait_log("its certificate has no name that can be a user name")

    def test_shared_key(self):
        self.begin("sensor", "psk_hint us", f"psk_file {self.psk_file}", "use_identity_as_username true")
        with wire.connected(self.plain, "reader") as reader:
            reader.subscribe(("own/data", 0))
            for key, identity in (("00ff", "other"), (case.PSK, "sensor")):
                done = self.tool("mosquitto_pub", "-h", "localhost", "-p", self.address[1], "-t", "own/data", "-m", identity,
                                 "--psk", key, "--psk-identity", identity)
                self.assertEqual(0, done.returncode, done.stderr)
            self.assertEqual(b"sensor", reader.receive_publish().payload)


if __name__ == "__main__":
    case.run(pathlib.Path(__file__).stem)
