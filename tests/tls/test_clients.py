"""Clients that others wrote connect in every way that TLS has, and messages of every size pass."""

import pathlib
import re
import subprocess
import threading
import time

import case
import wire
from case import Case


class TestMosquitto(Case):
    def both(self, *arguments):
        """A message from mosquitto_pub to mosquitto_sub, both with these arguments."""
        watcher = wire.connected(self.plain, "watcher")
        watcher.subscribe(("ready", 0))
        command = ["mosquitto_sub", "-h", "localhost", "-p", str(self.address[1]), "-t", "t", "-q", "1", "-C", "1", "-v",
                   *map(str, arguments)]
        with subprocess.Popen([*command, "--will-topic", "ready"], stdout=subprocess.PIPE, text=True) as sub:
            try:
                while sub.poll() is None:
                    self.assertEqual("", self.pub(*arguments).stderr)
                    try:
                        sub.wait(0.2)
                    except subprocess.TimeoutExpired:
                        continue
                self.assertEqual((0, "t hello\n"), (sub.returncode, sub.stdout.read()))
            finally:
                sub.kill()
        watcher.disconnect()

    def test_server_certificate(self):
        for kind in ("rsa", "ec"):
            with self.subTest(kind):
                self.start(*self.certificate(kind))
                self.both("--cafile", self.pki.authority.path)
                self.healthy()

    def test_client_certificate(self):
        self.start(*self.mutual())
        self.both("--cafile", self.pki.authority.path, "--cert", self.pki.client.path, "--key", self.pki.client.key)

    def test_shared_key(self):
        self.start("psk_hint us", f"psk_file {self.psk_file}")
        self.both("--psk", case.PSK, "--psk-identity", "sensor")

    def test_capath_and_intermediate(self):
        """Both sides have certificates that an authority between has signed, and know only the root."""
        between = case.pki.Authority(self.folder, "between", self.pki.authority)
        chains = []
        for name in ("server", "device"):
            made = between.issue(name, f"/CN={name}")
            chain = self.folder / f"{name}.chain"
            chain.write_bytes(made.path.read_bytes() + between.path.read_bytes())
            chains.append((chain, made.key))
        roots = self.folder / "roots"
        roots.mkdir()
        (roots / "root.pem").write_bytes(self.pki.authority.path.read_bytes())
        case.pki.openssl("rehash", roots)
        self.start(f"certfile {chains[0][0]}", f"keyfile {chains[0][1]}", f"capath {roots}", "require_certificate true")
        self.both("--cafile", self.pki.authority.path, "--cert", chains[1][0], "--key", chains[1][1])


class TestBytes(Case):
    def test_sizes_and_records(self):
        """Messages around the sizes of records, both ways."""
        self.start(*self.certificate())
        one, other = self.connected("one"), self.connected("other")
        for size in (0, 1, 511, 512, 513, 1000, 1025, 16383, 16384, 16385, 300000):
            with self.subTest(size):
                self.exchange(one, other, size)
        self.healthy()

    def test_byte_by_byte(self):
        """Records in pieces, as a slow network delivers them, and each byte in a record of its own."""
        self.start(*self.certificate())
        whole = wire.connect_packet("slow") + wire.publish_packet("t", b"payload", 1, 1)
        client = case.Client(self.address, self.pki.context())
        for byte in whole:
            client.send(bytes([byte]))
        self.assertEqual([wire.CONNACK, wire.PUBACK], [client.receive().type for _ in range(2)])
        client.disconnect()

    def test_slow_reader_gets_everything(self):
        """A reader that lets records pile up between the broker and itself loses none and sees no byte changed."""
        self.start(*self.certificate(), "progress_timeout 1h", "overflow_wait 1h", "max_queued_messages 50")
        # Not smaller: of a window that opens by less than a segment, 64 KB here, the kernel tells only when it is asked, and
        # it asks five times in a second at most.
        reader = self.connected("reader", receive_buffer=262144)
        reader.subscribe(("slow", 0))
        sender = wire.connected(self.plain, "sender")
        count, payload = 3000, b"0123456789" * 300

        def send():
            for number in range(count):
                sender.send(wire.publish_packet("slow", b"%d " % number + payload))

        thread = threading.Thread(target=send)
        thread.start()
        self.addCleanup(thread.join)
        time.sleep(1)  # until all buffers are full
        for number in range(count):
            self.assertEqual(b"%d " % number + payload, reader.receive_publish().payload)
        thread.join()
        sender.disconnect()
        self.healthy()

    def test_many_clients_at_once(self):
        """Handshakes that come in all together, from clients who then talk to each other."""
        self.start(*self.certificate())
        clients = [None] * 40

        def connect(number):
            clients[number] = self.connected(f"client-{number}")

        threads = [threading.Thread(target=connect, args=(number,)) for number in range(len(clients))]
        for thread in threads:
            thread.start()
        for thread in threads:
            thread.join()
        for client in clients:
            self.exchange(clients[0], client)
        for client in clients:
            client.disconnect()
        self.settled(0)


class TestTickets(Case):
    def resume(self):
        """Connects twice, the second time with what the first was given. Returns what s_client says about the second."""
        kept = self.folder / "session"
        self.assertEqual(0, self.s_client("-tls1_2", "-sess_out", kept).returncode)
        return self.s_client("-tls1_2", "-sess_in", kept).stdout

    def test_session_is_resumed(self):
        self.start(*self.certificate("rsa"))
        self.assertRegex(self.resume(), r"Reused, TLSv1\.2")

    def test_no_ticket_where_the_client_has_a_certificate(self):
        """A ticket would let it in without a look at what was revoked since."""
        self.start(*self.mutual())
        kept = self.folder / "session"
        show = ["-tls1_2", "-cert", self.pki.client.path, "-key", self.pki.client.key]
        self.s_client(*show, "-sess_out", kept)
        self.assertRegex(self.s_client(*show, "-sess_in", kept).stdout, r"New, TLSv1\.2")


class TestCiphers(Case):
    def cipher(self, *arguments):
        found = re.search(r"Cipher is (\S+)", self.s_client("-tls1_2", *arguments).stdout)
        return found[1] if found else None

    def test_only_those_listed(self):
        self.start(*self.certificate("rsa"), "ciphers ECDHE-RSA-CHACHA20-POLY1305:TLS_ECDHE_RSA_WITH_AES_256_GCM_SHA384")
        self.assertEqual("ECDHE-RSA-CHACHA20-POLY1305", self.cipher())
        self.assertEqual("ECDHE-RSA-AES256-GCM-SHA384", self.cipher("-cipher", "ECDHE-RSA-AES256-GCM-SHA384"))
        self.assertIn(self.cipher("-cipher", "ECDHE-RSA-AES128-GCM-SHA256"), (None, "(NONE)"))
        self.midge.wait_log("TLS handshake with .* failed: it offers no cipher that we have")

    def test_curves(self):
        self.start(*self.certificate("rsa"))
        for curve, words in (("P-256", "ECDH, prime256v1"), ("X25519", "X25519"), ("P-384", "ECDH, secp384r1")):
            with self.subTest(curve):
                self.assertIn(words, self.s_client("-tls1_2", "-curves", curve).stdout)


if __name__ == "__main__":
    case.run(pathlib.Path(__file__).stem)
