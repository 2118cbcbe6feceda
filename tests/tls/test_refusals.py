"""Who is refused, and what the log says about it; others go on."""

import os
import pathlib
import random
import re
import signal
import ssl
import subprocess
import time
import unittest

import case
import wire
from case import Case
from healthy import Pair
from process import DEADLINE_S


class TestCertificates(Case):
    def refused(self, client, reason):
        """A client with this certificate does not get through, and the log says why."""
        context = self.pki.context(client)
        with self.assertRaises((OSError, wire.Closed)):
            case.Client(self.address, context).connect("refused")
        self.midge.wait_log(f"TLS handshake with 127.0.0.1:.* failed: .*{reason}")
        self.healthy()

    def test_no_certificate(self):
        self.start(*self.mutual())
        self.refused(None, "it has no certificate")

    def test_wrong_authority(self):
        self.start(*self.mutual())
        self.refused(self.pki.stranger.issue("foreign", "/CN=device 7"), "not correctly signed by the trusted CA")

    def test_expired(self):
        self.start(*self.mutual())
        self.refused(self.pki.authority.issue("expired", "/CN=device 7", days=-1), "validity has expired")

    def test_revoked(self):
        good, bad = (self.pki.authority.issue(name, "/CN=device 7") for name in ("good", "bad"))
        self.start(*self.mutual(), f"crlfile {self.pki.authority.revoked(bad)}")
        self.connected("good", self.pki.context(good)).disconnect()
        self.refused(bad, "has been revoked")

    def test_client_does_not_trust_us(self):
        """It hears all that the broker says in this turn, tells that it knows no such authority, and waits for the end."""
        self.start(*self.certificate())
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        context = self.pki.context(trust=self.pki.stranger)
        context.maximum_version = ssl.TLSVersion.TLSv1_2
        client = context.wrap_bio(incoming, outgoing, server_hostname="localhost")
        with self.assertRaises(ssl.SSLWantReadError):
            client.do_handshake()
        with case.raw_socket(self.address) as raw:
            raw.sendall(outgoing.read())
            heard = b""
            while not heard.endswith(b"\x0e\x00\x00\x00"):  # ServerHelloDone
                heard += raw.recv(65536)
            incoming.write(heard)
            with self.assertRaises(ssl.SSLCertVerificationError):
                client.do_handshake()
            raw.sendall(outgoing.read())
            self.midge.wait_log("failed: it sent the alert 48, it does not know the authority of our certificate")


class TestProtocol(Case):
    def test_old_versions(self):
        self.start(*self.certificate())
        for version in ("-tls1", "-tls1_1"):
            with self.subTest(version):
                result = self.s_client(version, "-cipher", "ALL:@SECLEVEL=0")
                self.assertNotEqual(0, result.returncode)
                self.assertIn("alert protocol version", result.stderr)
        self.midge.wait_log("failed: it does not offer TLS 1.2", 2)

    def test_no_common_cipher(self):
        self.start(*self.certificate())
        self.assertNotEqual(0, self.s_client("-tls1_2", "-cipher", "AES128-SHA").returncode)
        self.midge.wait_log("failed: it offers no cipher that we have")

    def test_renegotiation(self):
        """The client is told that there is none, and gives up."""
        self.start(*self.certificate())
        with subprocess.Popen(["openssl", "s_client", "-tls1_2", "-connect", f"127.0.0.1:{self.address[1]}"],
                              stdin=subprocess.PIPE, stdout=subprocess.PIPE, stderr=subprocess.STDOUT) as client:
            seen = b""
            while b"Verify return code" not in seen:
                seen += os.read(client.stdout.fileno(), 65536)
            client.stdin.write(b"R\n")
            client.stdin.flush()
            rest = client.stdout.read()
            self.assertIn(b"no renegotiation", rest)
        self.healthy()

    def test_plain_client(self):
        self.start(*self.certificate())
        client = wire.Client(self.address)
        client.send(wire.connect_packet("plain"))
        client.expect_close()
        self.midge.wait_log("failed: what it sent is not TLS")

    def test_tls_client_on_a_plain_listener(self):
        self.start(*self.certificate())
        with self.assertRaises(OSError):
            case.Client(self.plain, self.pki.context())
        self.healthy()


class TestSharedKeys(Case):
    def test_unknown_identity_and_wrong_key(self):
        self.start("psk_hint us", f"psk_file {self.psk_file}")
        for arguments, reason in (
            (["--psk", case.PSK, "--psk-identity", "nobody"], "its PSK identity is not in the list"),
            (["--psk", case.PSK[:-1] + "0", "--psk-identity", "sensor"], "the shared keys differ"),
        ):
            with self.subTest(reason):
                self.assertNotEqual(0, self.pub(*arguments).returncode)
                self.midge.wait_log(f"TLS handshake with .* failed: .*{reason}")
        self.assertEqual(0, self.pub("--psk", "00FF", "--psk-identity", "other").returncode)


class TestHandshakes(Case):
    def hello(self):
        """The bytes with which a client begins."""
        incoming, outgoing = ssl.MemoryBIO(), ssl.MemoryBIO()
        client = self.pki.context().wrap_bio(incoming, outgoing, server_hostname="localhost")
        try:
            client.do_handshake()
        except ssl.SSLWantReadError:
            return outgoing.read()
        raise AssertionError("a handshake without a server")

    def test_stalled_handshakes(self):
        """Handshakes that end anywhere, by the hundred: others go on, and time ends them."""
        self.start(*self.certificate(), "connect_timeout 10s")
        self.connected("first").disconnect()
        before = self.settled(0)
        pair = Pair(self.plain).start()
        hello = self.hello()
        stalled = []
        for number in range(300):
            stalled.append(case.raw_socket(self.address))
            stalled[-1].sendall(hello[: number * len(hello) // 299])
        self.connected("between").disconnect()
        pair.wait(500)
        for client in stalled:
            client.settimeout(DEADLINE_S)
            while client.recv(65536):
                pass
            client.close()
        pair.stop()
        self.assertEqual(before, self.settled(0))
        self.healthy()

    def test_damaged_handshakes(self):
        """A ClientHello with bytes changed, cut or repeated; no answer may be the end of us."""
        seed = int(os.environ.get("MIDGE_SEED", "0")) or random.randrange(1, 1 << 32)
        print(f"damaged handshakes with seed {seed} (MIDGE_SEED)")
        generator = random.Random(seed)
        self.start(*self.mutual(), "connect_timeout 10s")
        self.connected("first", self.pki.context(self.pki.client)).disconnect()
        before = self.settled(0)
        hello = self.hello()
        for _ in range(300):
            bytes_ = bytearray(hello)
            for _ in range(generator.choice((1, 1, 2, 10))):
                at = generator.randrange(len(bytes_))
                bytes_[at] = generator.choice((0, 255, bytes_[at] ^ 1 << generator.randrange(8)))
            cut = generator.randrange(len(bytes_)) if generator.random() < 0.2 else len(bytes_)
            client = case.raw_socket(self.address)
            client.sendall(bytes_[:cut])
            client.settimeout(0.005 if generator.random() < 0.5 else 0)
            try:
                client.recv(65536)
            except OSError:
                pass
            client.close()
        self.assertEqual(before, self.settled(0))
        self.healthy()

    def test_damaged_records(self):
        """A record that was changed on its way costs its connection."""
        self.start(*self.certificate())
        client = self.connected("damaged")
        plain = client.socket.detach()
        with case.socket.socket(fileno=plain) as raw:
            raw.settimeout(DEADLINE_S)
            raw.sendall(b"\x17\x03\x03\x00\x20" + bytes(32))
            while raw.recv(65536):
                pass
        self.midge.wait_log("TLS with 127.0.0.1:.* failed: a record was changed on its way")
        self.settled(0)


class TestMemory(Case):
    def crowd(self, count):
        """As many clients, each of which has been accepted or refused."""
        clients, refused = [], 0
        for number in range(count):
            try:
                client = case.Client(self.address, self.pki.context())
                client.connect(f"crowd-{number}")
                clients.append(client)
                self.addCleanup(client.socket.close)
            except (OSError, wire.Closed):
                refused += 1
        return clients, refused

    def test_used_up(self):
        """Who finds no memory is refused; those who are there go on, and when they leave there is room again."""
        self.start(*self.certificate(), "limit_tls_memory 262144")
        before = self.settled(0)
        clients, refused = self.crowd(20)
        self.assertGreater(len(clients), 5)
        self.assertGreater(refused, 5)
        self.midge.wait_log("Connection with 127.0.0.1:.* ended: no memory is left for TLS; raise limit_tls_memory", refused)
        for client in clients:
            self.exchange(clients[0], client, 5000)
        for client in clients:
            client.disconnect()
        self.assertEqual(before, self.settled(0))
        again, _ = self.crowd(len(clients))
        self.assertEqual(len(clients), len(again))
        self.healthy()

    def test_stalled_handshakes_make_room(self):
        """Peers that never finish cannot lock others out: the oldest of them goes."""
        self.start(*self.certificate(), "limit_tls_memory 262144", "connect_timeout 1h")
        stalled = [case.raw_socket(self.address) for _ in range(30)]
        self.midge.wait_log("TLS handshake with .* ended: no memory is left for TLS", 20)
        client = self.connected("honest")
        self.assertEqual(b"", stalled[0].recv(1))
        self.exchange(client, client)
        for peer in stalled:
            peer.close()

    def idle(self, *arguments):
        """Bytes for one idle client, told by openssl s_client how large its records are."""
        before = self.settled(0)
        clients = []
        for number in range(10):
            clients.append(subprocess.Popen(
                ["openssl", "s_client", "-quiet", "-tls1_2", "-connect", f"127.0.0.1:{self.address[1]}", *map(str, arguments)],
                stdin=subprocess.PIPE, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL))
            clients[-1].stdin.write(wire.connect_packet(f"idle-{number}"))
            clients[-1].stdin.flush()
        self.midge.wait_log("New client connected from .* as idle-", len(clients) + self.clients)
        self.clients += len(clients)
        used = self.settled(len(clients)) - before
        for client in clients:
            client.kill()
            client.communicate()
        self.settled(0)
        return used // len(clients)

    def test_bytes_of_an_idle_client(self):
        """The figures of port/tls/README.md."""
        self.clients = 0
        for name, options, arguments in (
            ("RSA", self.certificate("rsa"), []),
            ("client certificate", [*self.mutual(), "use_identity_as_username true"], [
                "-cert", self.pki.client.path, "-key", self.pki.client.key]),
            ("shared key", ["psk_hint us", f"psk_file {self.psk_file}"], ["-psk", case.PSK, "-psk_identity", "sensor"]),
        ):
            self.start(*options)
            self.clients = 0
            self.idle(*arguments)  # the first handshake also makes what is kept for all
            for records, most in ((16384, 21000), (4096, 8192), (2048, 6144), (1024, 5120)):
                with self.subTest(name, records=records):
                    size = ["-maxfraglen", records] if records < 16384 else []
                    used = self.idle(*arguments, *size)
                    print(f"{name}, records of {records}: {used} bytes", flush=True)
                    self.assertLess(used, most)


class TestReload(Case):
    def test_new_certificate_and_nobody_dropped(self):
        """Reloads under load: clients from before go on with what they have, new ones see the new certificate."""
        environment = dict(os.environ, LD_PRELOAD=case.OPTIONS.no_malloc) if case.OPTIONS.no_malloc else None
        made = case.pki.Certificate(self.folder, "served")
        options = [f"certfile {made.path}", f"keyfile {made.key}", "sys_interval 1"]
        turns = [self.pki.rsa, self.pki.ec]
        self.serve(made, turns[0])
        self.start(*options, environment=environment)
        if environment:
            # From now on an allocation of the C library ends midge.
            self.midge.signal(signal.SIGRTMIN + 5)
            self.midge.wait_log("no_malloc: armed")
        pair = Pair(self.plain).start()
        old = [self.connected(f"old-{number}") for number in range(10)]
        serial = self.serial()
        for turn in range(1, 7):
            self.serve(made, turns[turn % 2])
            self.midge.signal(signal.SIGHUP)
            self.midge.wait_log("Reload: the configuration was read again", turn)
            self.exchange(old[turn], old[turn + 1], 3000)
            self.assertEqual(turn % 2 == 0, serial == self.serial())
        for client in old:
            client.disconnect()
        pair.stop()
        self.settled(0)
        self.healthy()

    @staticmethod
    def serve(made, what):
        made.path.write_bytes(what.path.read_bytes())
        made.key.write_bytes(what.key.read_bytes())

    def serial(self):
        """The certificate that a new client is shown."""
        with case.Client(self.address, self.pki.context()) as client:
            return client.socket.getpeercert()["serialNumber"]

    def test_bad_file_changes_nothing(self):
        made = case.pki.Certificate(self.folder, "served")
        self.serve(made, self.pki.rsa)
        self.start(f"certfile {made.path}", f"keyfile {made.key}")
        serial = self.serial()
        for number, (path, content, words) in enumerate((
            (made.path, b"nothing", r"midge\.conf:5: option \"certfile\": .*served\.pem is not a certificate that can be used"),
            (made.key, self.pki.client.key.read_bytes(), r"midge\.conf:6: option \"keyfile\": it does not fit"),
        ), 1):
            path.write_bytes(content)
            self.midge.signal(signal.SIGHUP)
            self.midge.wait_log("Reload failed, nothing was changed: .*" + words)
            self.assertEqual(serial, self.serial(), number)
            self.serve(made, self.pki.rsa)
        self.healthy()

    @unittest.skipUnless(os.geteuid() == 0, "needs root, to stop being it")
    def test_key_that_only_root_can_read(self):
        """It is read before Midge becomes another user, who cannot read it again: then nothing changes."""
        made = case.pki.Certificate(self.folder, "served")
        self.serve(made, self.pki.rsa)
        made.key.chmod(0o600)
        self.folder.chmod(0o755)
        self.start(f"certfile {made.path}", f"keyfile {made.key}", user="daemon")
        self.midge.wait_log("running as the user daemon")
        old, serial = self.connected("old"), self.serial()
        self.serve(made, self.pki.ec)
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log(r"Reload failed, nothing was changed: .*\"keyfile\": cannot read .*served\.key: Permission denied")
        self.exchange(old, self.connected("new"))
        self.assertEqual(serial, self.serial())
        made.key.chmod(0o644)
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload: the configuration was read again")
        self.assertNotEqual(serial, self.serial())

    def test_revoked_from_now_on(self):
        device = self.pki.authority.issue("lost", "/CN=device 9")
        revoked = self.folder / "revoked.crl"
        revoked.write_bytes(self.pki.authority.revoked().read_bytes())
        self.start(*self.mutual(), f"crlfile {revoked}")
        context = self.pki.context(device)
        self.connected("before", context).disconnect()
        revoked.write_bytes(self.pki.authority.revoked(device).read_bytes())
        self.midge.signal(signal.SIGHUP)
        self.midge.wait_log("Reload: the configuration was read again")
        with self.assertRaises((OSError, wire.Closed)):
            case.Client(self.address, context).connect("after")
        self.midge.wait_log("has been revoked")


class TestOptions(Case):
    def complaint(self, *lines):
        """What a start with these lines ends with."""
        self.write(*lines)
        result = self.tool(case.OPTIONS.midge, "-c", self.config, "--test-config")
        self.assertNotEqual(0, result.returncode)
        self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        return result.stderr

    def test_wrong_files_and_combinations(self):
        ec, client, ca = self.pki.ec, self.pki.client, self.pki.authority.path
        encrypted, bad_psk, empty = self.folder / "encrypted", self.folder / "bad", self.folder / "empty"
        case.pki.openssl("pkcs8", "-topk8", "-in", ec.key, "-out", encrypted, "-passout", "pass:secret")
        bad_psk.write_text("good:00\nsensor:0g\n", encoding="ascii")
        empty.mkdir()
        pair = [f"certfile {ec.path}", f"keyfile {ec.key}"]
        for lines, words in (
            ([f"certfile {ec.path}"], '"certfile": the listener needs a keyfile too'),
            ([f"keyfile {ec.key}"], '"keyfile": the listener needs a certfile too'),
            (["certfile /nowhere", f"keyfile {ec.key}"], '5: option "certfile": cannot read /nowhere: No such file'),
            ([f"certfile {ec.key}", f"keyfile {ec.key}"], '5: option "certfile": .* is not a certificate that can be used'),
            ([f"certfile {ec.path}", f"keyfile {encrypted}"], '6: option "keyfile": .* is not a key without passphrase'),
            ([f"certfile {ec.path}", f"keyfile {client.key}"], '6: option "keyfile": it does not fit'),
            ([*pair, "cafile /nowhere"], '7: option "cafile": cannot read'),
            ([*pair, f"cafile {ec.key}"], '7: option "cafile": .* is not a list of certificates'),
            ([*pair, f"capath {empty}"], '7: option "capath": no certificate is found in .*; run: openssl rehash'),
            ([*pair, "require_certificate true"], '7: option "require_certificate": .*cafile or capath'),
            ([*pair, f"cafile {ca}", f"crlfile {ca}"], '8: option "crlfile": the listener needs require_certificate true'),
            ([*pair, f"cafile {ca}", "require_certificate true", f"crlfile {ca}"],
             '9: option "crlfile": .* is not a list of revoked certificates'),
            ([*pair, "use_identity_as_username true"], '7: option "use_identity_as_username": .*require_certificate'),
            ([*pair, "use_subject_as_username true"], '7: option "use_subject_as_username": .*require_certificate'),
            ([*pair, "ciphers HIGH"], '7: option "ciphers": "HIGH" is not a cipher that Midge has; valid: .*ECDHE-RSA'),
            (["ciphers PSK-AES128-CCM8"], '5: option "ciphers": the listener has no TLS'),
            ([*pair, "tls_version tlsv1.1"], '7: option "tls_version": "tlsv1.1" is not supported, only tlsv1.2'),
            ([*pair, "tls_version tlsv1.3"], '7: option "tls_version": "tlsv1.3" is not supported'),
            ([*pair, "ciphers_tls1.3 x"], '"ciphers_tls1.3": Mosquitto has it, Midge does not'),
            ([*pair, "dhparamfile x"], '"dhparamfile": Mosquitto has it, Midge does not'),
            ([*pair, "tls_engine x"], '"tls_engine": Mosquitto has it, Midge does not'),
            (["psk_hint x"], '5: option "psk_hint": the keys are missing'),
            (["psk_hint x", "psk_file /nowhere"], '6: option "psk_file": cannot read /nowhere'),
            (["psk_hint x", f"psk_file {bad_psk}"], '6: option "psk_file": .*bad:2: the key consists of hexadecimal digits'),
            (["limit_tls_memory 1"], '5: option "limit_tls_memory": "1" is not valid; valid: 65536 '),
        ):
            with self.subTest(lines):
                self.assertRegex(self.complaint(*lines), words)

    def test_memory_is_listed(self):
        self.write(*self.certificate(), "limit_tls_memory 1048576")
        result = self.tool(case.OPTIONS.midge, "-c", self.config, "--memory")
        self.assertRegex(result.stdout, r"(?m)^TLS +1 +1048576 +1048576$")
        self.write("sys_interval 0")
        self.assertNotIn("TLS", self.tool(case.OPTIONS.midge, "-c", self.config, "--memory").stdout)


if __name__ == "__main__":
    case.run(pathlib.Path(__file__).stem)
