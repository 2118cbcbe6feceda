"""Who may come in, and what they may do: users, rights, limits, and what a reload does to those who are there."""

import os
import pty
import re
import signal
import time

import case
import fixture
import wire
from case import OPTIONS, Case, run, wait_until
from process import Process


class GateCase(Case):
    def setUp(self):
        super().setUp()
        self.users = self.folder / "users"
        self.rights = self.folder / "rights"
        self.failures = 0

    def passwd(self, *arguments, **options):
        return run(OPTIONS.midge, "passwd", *arguments, **options)

    def add_user(self, name, password, iterations=10):
        create = [] if self.users.exists() else ["-c"]
        self.assertEqual(0, self.passwd(*create, "-i", iterations, "-b", self.users, name, password).returncode)

    def start_users(self, *lines, **options):
        return self.start(f"password_file {self.users}", *lines, **options)

    def login(self, client, user, password, **options):
        """The return code of a CONNACK."""
        return self.code(client, username=user, password=password, **options)

    def fails(self, *arguments, **options):
        """Whether a login is refused. It comes from an address of its own, so that its answer is not delayed for long."""
        self.failures += 1
        return self.login(*arguments, source=f"127.0.1.{self.failures}", **options) == 5

    def as_user(self, client, user, password="pw", **options):
        return self.client(client, username=user, password=password, **options)

    def reload(self, outcome="Reload: the configuration was read again"):
        before = len([line for line in self.midge.log if outcome in line])
        self.midge.signal(signal.SIGHUP)
        return self.midge.wait_log(re.escape(outcome), before + 1)


class TestUsers(GateCase):
    def test_files_of_mosquitto_passwd(self):
        for number, options in enumerate(([], ["-H", "sha512"], ["-H", "sha512-pbkdf2"])):
            created = run("mosquitto_passwd", *options, *([] if self.users.exists() else ["-c"]), "-b", self.users,
                          f"user{number}", "p\xe4ss word")
            self.assertEqual(0, created.returncode, created.stderr)
        self.users.chmod(0o600)
        self.start_users()
        for number in range(3):
            self.assertEqual(0, self.login(f"c{number}", f"user{number}", "p\xe4ss word"))
            self.assertTrue(self.fails(f"c{number}", f"user{number}", "pass word"))

    def test_who_comes_in(self):
        self.add_user("alice", "pw")
        for anonymous, code in (("", 5), ("allow_anonymous false", 5), ("allow_anonymous true", 0)):
            self.start_users(anonymous)
            self.assertEqual(0, self.login("c", "alice", "pw"))
            for user, password in (("alice", ""), ("alice", None), ("Alice", "pw"), ("", "pw")):
                self.assertTrue(self.fails("c", user, password), (user, password))
            self.assertEqual(code, self.code("c"))
        for _ in range(2):
            self.assertEqual(5, self.login("c", "alice", "wrong"))
        self.midge.wait_log(r"Client c at 127\.0\.0\.1:\d+ refused with return code 5: bad user name or password, "
                            r"failure \d of this host \(setting: password_file\)")

    def test_limit_identity_size(self):
        self.add_user("alice", "pw")
        self.start_users("limit_client_id_size 0")
        self.assertEqual([0, 2], [self.login("c" * size, "alice", "pw") for size in (215, 216)])
        self.midge.wait_log("refused with return code 2: its user name and client identifier together are too long "
                            r"\(setting: limit_identity_size\)")
        self.start_users("limit_client_id_size 0", "limit_identity_size 131070")
        client = self.as_user("c" * 65535, "alice")
        client.subscribe(("t", 0))
        client.publish("t", "x")
        self.assertEqual(b"x", client.receive_publish().payload)

    def test_no_users_and_no_anonymous(self):
        self.start("allow_anonymous false")
        self.midge.wait_log("No client may connect there: allow_anonymous is false and there is no password_file")
        self.assertEqual(5, self.login("c", "alice", "pw"))
        self.midge.wait_log("refused with return code 5: there are no users")

    def test_a_long_password(self):
        for password in ("x" * 128, "y" * 129, "z" * 1000):
            self.users.unlink(missing_ok=True)
            self.add_user("alice", password)
            self.start_users()
            self.assertEqual(0, self.login("c", "alice", password))
            self.assertTrue(self.fails("c", "alice", password + "x"))
            self.assertTrue(self.fails("c", "alice", "w" * 65535))

    def test_files_that_cannot_be_used(self):
        for content, words in (("alice:$argon2id$v=19$m=47104,t=1,p=1$a$b", "mosquitto_passwd -H sha512-pbkdf2"),
                               ("alice:plain", "midge passwd -U"), ("nonsense", "NAME:HASH")):
            self.users.write_text(f"# users\n{content}\n", encoding="ascii")
            error = self.refused("listener 0 127.0.0.1", f"password_file {self.users}")
            self.assertIn(f'{self.path}:2: option "password_file": {self.users}:2: ', error)
            self.assertIn(words, error)
            checked = run(OPTIONS.midge, "-c", self.path, "--test-config")
            self.assertEqual((2, error), (checked.returncode, checked.stderr))
        self.assertIn("cannot read /nowhere", self.refused("listener 0 127.0.0.1", "password_file /nowhere"))
        self.users.write_text("", encoding="ascii")
        self.add_user("a", "pw")
        self.add_user("b", "pw")
        self.rights.write_text("user a\ntopic 1\ntopic 2\n", encoding="ascii")
        self.assertIn("raise limit_rights", self.refused("listener 0 127.0.0.1", f"acl_file {self.rights}", "limit_rights 1"))
        self.assertIn("raise limit_users", self.refused("listener 0 127.0.0.1", f"password_file {self.users}", "limit_users 1"))

    def test_a_file_for_everybody_is_warned_of(self):
        self.add_user("alice", "pw")
        self.users.chmod(0o644)
        self.start_users()
        self.midge.wait_log(f"Every user of this host can read {self.users}: chmod o-r it")

    def test_per_listener_settings(self):
        """Each listener has its own users and rights."""
        self.add_user("alice", "pw")
        self.rights.write_text("user alice\ntopic deny t\n", encoding="ascii")
        self.start("per_listener_settings true", "listener 0 127.0.0.1", f"password_file {self.users}",
                   f"acl_file {self.rights}", "listener 0 127.0.0.2", "allow_anonymous true", listener=None)
        second = re.search(r"(127\.0\.0\.2) port (\d+)", self.midge.wait_log(r"listening on 127\.0\.0\.2 port"))
        self.assertEqual(5, self.code("c"))
        self.assertEqual([0x80], self.as_user("c", "alice").subscribe(("t", 0)))
        other = self.raw((second.group(1), int(second.group(2))))
        self.assertEqual(0, other.connect("d", username="alice", password="other")[1])
        self.assertEqual([0], other.subscribe(("t", 0)))

    def test_failures_are_counted(self):
        self.add_user("alice", "pw")
        self.start_users("sys_interval 1")
        for _ in range(3):
            self.assertEqual(5, self.login("c", "alice", "wrong"))
        watcher = self.as_user("w", "alice")
        wait_until(lambda: self.sys_value(watcher, "logins/failed") == b"3")

    def test_failures_are_delayed_more_and_more(self):
        """The order in which answers come shows the delays: each is twice the one before."""
        self.add_user("alice", "pw")
        self.start_users()
        for _ in range(2):
            self.assertEqual(5, self.login("c", "alice", "wrong"))
        slow = self.raw()
        started = time.monotonic()
        slow.send(wire.connect_packet("slow", username="alice", password="wrong"))
        self.assertEqual(0, self.login("good", "alice", "pw"))  # who knows the password does not wait
        self.assertEqual(b"\x00\x05", slow.receive().body)
        self.assertGreaterEqual(time.monotonic() - started, 0.5)  # of 250 ms * 2 ^ 2: a bound that load cannot break

    def test_many_failures_at_once_are_refused(self):
        """A host that guesses in parallel is soon told nothing any more."""
        self.add_user("alice", "pw")
        self.start_users()
        address = self.midge.address()

        def guess():
            client = wire.Client(address)
            self.addCleanup(client.socket.close)
            client.send(wire.connect_packet("guess", username="alice", password="guess"))
            return any("return code 3: too many failed logins of its host wait" in line for line in self.midge.log)

        wait_until(guess)
        for password, code in (("pw", 0), ("guess", 5)):  # another host is not held to account for that
            other = wire.socket.create_connection(address, source_address=("127.0.0.9", 0))
            self.addCleanup(other.close)
            other.sendall(wire.connect_packet("other", username="alice", password=password))
            self.assertEqual(bytes((0x20, 2, 0, code)), other.recv(4))

    def add_slow_user(self):
        """A user whose password takes minutes to hash."""
        self.add_user("alice", "pw")
        self.add_user("slow", "pw", 100)
        text = self.users.read_text(encoding="ascii").replace("slow:$7$100$", "slow:$7$100000000$")
        self.users.write_text(text, encoding="ascii")

    def test_a_slow_hash_holds_nobody_up(self):
        """Everybody else is served meanwhile; logins wait, or are refused where too many do."""
        self.add_slow_user()
        self.start_users("allow_anonymous true", "limit_logins 2")
        waiting = [self.raw() for _ in range(2)]
        for number, client in enumerate(waiting):
            client.send(wire.connect_packet(f"slow{number}", username="slow", password="pw"))
        receiver, sender = self.client("receiver"), self.client("sender")
        receiver.subscribe(("t", 1))
        for number in range(100):
            sender.publish("t", str(number), 1)
            self.assertEqual(str(number).encode(), receiver.receive_publish().payload)
        wait_until(lambda: self.login("late", "alice", "pw") == 3)
        self.midge.wait_log("refused with return code 3: too many logins wait .*limit_logins")

    def too_late(self, count):
        """What the log says of a slow login; where its CONNECT was too late already, another one tries."""
        with self.assertRaises(wire.Closed):
            self.login("slow-one", "slow", "pw")
        line = self.midge.wait_log("disconnected: .* in time .*connect_timeout", count)
        return self.too_late(count + 1) if "sent no CONNECT" in line else line

    def test_a_hash_that_takes_too_long_is_given_up(self):
        """connect_timeout bounds a login, too; then others have their turn."""
        self.add_slow_user()
        configuration = ("listener 0 127.0.0.1", f"password_file {self.users}", "limit_logins 1")
        self.start(*configuration[1:])
        self.client("first", username="alice", password="pw")
        self.write(*configuration, "connect_timeout 100ms")
        self.reload()
        self.assertRegex(self.too_late(1), r"Client slow-one at 127\.0\.0\.1:\d+ disconnected: its password was not "
                                           r"hashed in time \(setting: connect_timeout\)\.")
        self.write(*configuration)
        self.reload()
        wait_until(lambda: self.login("next", "alice", "pw") == 0)

    def test_fifty_logins(self):
        """All of them come in, and another client is served in between."""
        self.add_user("alice", "pw", 2000)
        self.start_users("allow_anonymous true", "connect_timeout 10min")
        clients = [self.raw() for _ in range(50)]
        for number, client in enumerate(clients):
            client.send(wire.connect_packet(f"c{number}", username="alice", password="pw"))
        paced = self.client("paced")
        paced.ping()
        for client in clients:
            self.assertEqual(b"\x00\x00", client.receive().body)
            paced.ping()


class TestPasswd(GateCase):
    def names(self):
        return [line.split(":")[0] for line in self.users.read_text(encoding="utf-8").splitlines()]

    def test_add_change_remove(self):
        missing = self.passwd("-b", self.users, "alice", "pw")
        self.assertEqual(1, missing.returncode)
        self.assertIn("-c makes the file", missing.stderr)
        self.add_user("alice", "one")
        self.assertEqual(0o600, self.users.stat().st_mode & 0o777)
        self.add_user("bob", "two")
        self.add_user("alice", "three")
        self.assertEqual(["alice", "bob"], sorted(self.names()))
        self.start_users()
        self.assertEqual([5, 0, 0], [self.login("c", *pair) for pair in (("alice", "one"), ("alice", "three"), ("bob", "two"))])
        self.assertEqual(0, self.passwd("-D", self.users, "alice").returncode)
        self.assertEqual(["bob"], self.names())
        self.assertIn("there is no user alice", self.passwd("-D", self.users, "alice").stderr)
        self.assertEqual(0, self.passwd("-c", "-b", self.users, "new", "pw").returncode)
        self.assertEqual(["new"], self.names())
        self.assertIn("$7$100000$", self.users.read_text(encoding="ascii"))

    def test_update_hashes_plain_passwords(self):
        self.users.write_text("# comment\nalice:plain:text\nbob:$6$keep$me\n", encoding="ascii")
        self.users.chmod(0o640)
        self.assertEqual(0, self.passwd("-i", 10, "-U", self.users).returncode)
        lines = self.users.read_text(encoding="ascii").splitlines()
        self.assertEqual(["# comment", "bob:$6$keep$me"], [lines[0], lines[2]])
        self.assertRegex(lines[1], r"^alice:\$7\$10\$")
        self.assertEqual(0o640, self.users.stat().st_mode & 0o777)
        self.users.write_text("\n".join(lines[:2]) + "\n", encoding="ascii")
        self.start_users()
        self.assertEqual(0, self.login("c", "alice", "plain:text"))

    def ask(self, *answers):
        """Runs midge passwd at a terminal. Returns its status, and all that the terminal showed."""
        pid, terminal = pty.fork()
        if pid == 0:
            os.execv(OPTIONS.midge, [OPTIONS.midge, "passwd", "-i", "10", str(self.users), "alice"])
        shown = b""
        try:
            for answer in answers:
                before = shown.count(b"assword: ")
                while shown.count(b"assword: ") == before:
                    shown += os.read(terminal, 1000)
                os.write(terminal, answer + b"\n")
            while True:
                shown += os.read(terminal, 1000)
        except OSError:  # the terminal is gone
            pass
        os.close(terminal)
        return os.waitstatus_to_exitcode(os.waitpid(pid, 0)[1]), shown

    def test_it_asks_and_does_not_show(self):
        self.users.write_text("", encoding="ascii")
        status, shown = self.ask(b"hidden-word", b"hidden-word")
        self.assertEqual(0, status, shown)
        self.assertNotIn(b"hidden-word", shown)
        self.start_users()
        self.assertEqual(0, self.login("c", "alice", "hidden-word"))
        before = self.users.read_bytes()
        status, shown = self.ask(b"one", b"two")
        self.assertEqual(1, status)
        self.assertIn(b"the passwords differ", shown)
        self.assertEqual(before, self.users.read_bytes())

    def test_wrong_commands(self):
        self.users.write_text("", encoding="ascii")
        for arguments in ((), (self.users,), ("-x", self.users, "a"), ("-D", "-b", self.users, "a", "b"),
                          ("-U", self.users, "a"), ("-i", "0", "-b", self.users, "a", "b"), ("-b", self.users, "a:b", "c"),
                          ("-b", self.users, "", "c")):
            result = self.passwd(*arguments)
            self.assertEqual(2, result.returncode, arguments)
            self.assertEqual(1, result.stderr.count("\n"), result.stderr)
        self.assertEqual(["users"], os.listdir(self.folder))
        self.assertIn("usage: midge passwd", self.passwd("-h").stdout)

    def test_mosquitto_reads_it(self):
        self.add_user("alice", "pw", 1000)
        port = fixture.free_port()
        self.users.chmod(0o644)
        self.folder.chmod(0o755)
        self.write(f"listener {port} 127.0.0.1", f"password_file {self.users}")
        mosquitto = Process(["/usr/sbin/mosquitto", "-c", str(self.path)])
        self.addCleanup(mosquitto.kill)
        mosquitto.wait_log("running")
        for password, code in (("pw", 0), ("wrong", 5)):
            self.assertEqual(code, self.raw(("127.0.0.1", port)).connect("c", username="alice", password=password)[1])


class TestRights(GateCase):
    def setUp(self):
        super().setUp()
        for name in ("alice", "bob"):
            self.add_user(name, "pw")

    def start_rights(self, *rules, options=()):
        self.rights.write_text("".join(f"{rule}\n" for rule in rules), encoding="utf-8")
        return self.start_users(f"acl_file {self.rights}", "allow_anonymous true", *options)

    def test_publishing_and_reading(self):
        self.start_rights("topic read news/#", "user alice", "topic news/#", "topic deny news/secret", "user bob",
                          "topic read news/+", "topic write inbox")
        alice, bob, anonymous = self.as_user("a", "alice"), self.as_user("b", "bob"), self.client("x")
        for client in (alice, bob, anonymous):
            self.assertEqual([1], client.subscribe(("#", 1)))
        alice.publish("news/1", "yes", 1)
        alice.publish("news/secret", "no", 1)
        alice.publish("other", "no", 1)
        alice.publish("news/a/b", "deep", 1)
        bob.publish("news/2", "no", 1)
        bob.publish("inbox", "unread", 1)
        anonymous.publish("news/3", "no", 1)
        alice.publish("news/4", "end", 1)
        self.assertEqual(["yes", "deep", "end"], [alice.receive_publish().payload.decode() for _ in range(3)])
        self.assertEqual(["yes", "end"], [bob.receive_publish().payload.decode() for _ in range(2)])
        self.assertEqual(["yes", "deep", "end"], [anonymous.receive_publish().payload.decode() for _ in range(3)])
        for client in (alice, bob, anonymous):
            self.assert_silent(client)

    def test_a_denied_subscription(self):
        self.start_rights("user alice", "topic deny secret/#", "topic read open")
        alice = self.as_user("a", "alice")
        self.assertEqual([0x80, 0, 0], alice.subscribe(("secret/+", 0), ("other", 0), ("#", 0)))
        self.midge.wait_log('Client a at .* was refused the subscription to "secret/\\+": subscription denied .*acl_file')

    def test_retained_wills_and_absent_clients(self):
        self.start_rights("user alice", "topic write #", "topic deny bad", "user bob", "topic read ok")
        alice = self.as_user("a", "alice")
        for topic in ("ok", "hidden"):
            alice.publish(topic, topic, 1, retain=True)
        bob = self.as_user("b", "bob", clean=False)
        bob.subscribe(("#", 1))
        self.assertEqual("ok", bob.receive_publish().topic)
        self.assert_silent(bob)
        bob.disconnect()
        self.midge.wait_log("Client b .*disconnected")
        alice.publish("hidden", "x", 1)
        alice.publish("ok", "kept", 1)
        bob = self.as_user("b", "bob", clean=False)
        self.assertEqual(b"kept", bob.receive_publish().payload)
        self.as_user("w1", "alice", will=("bad", "no", 1, False)).cut()
        self.as_user("w2", "alice", will=("ok", "will", 1, False)).cut()
        self.assertEqual(b"will", bob.receive_publish().payload)

    def test_patterns(self):
        self.start_rights("pattern write %u/%c/out", "pattern read %u/%c/in", "pattern read all/%c")
        alice, bob = self.as_user("a1", "alice"), self.as_user("b1", "bob")
        self.rights.write_text(self.rights.read_text(encoding="ascii") + "user alice\ntopic write #\n", encoding="ascii")
        bob.subscribe(("#", 0))
        alice.publish("bob/b1/in", "no", 1)
        self.reload()
        for topic in ("bob/b1/in", "bob/b2/in", "alice/b1/in", "all/b1", "all/b2"):
            alice.publish(topic, "x", 1)
        self.assertEqual(["bob/b1/in", "all/b1"], [bob.receive_publish().topic for _ in range(2)])
        self.assert_silent(bob)

    def test_clients_keep_their_own_rights(self):
        """Thousands of client identifiers come and go, and a client that was away the whole time is still who it was."""
        self.start_rights("pattern read in/%c", "user alice", "topic write in/#",
                          options=("global_max_connections 4", "limit_sessions 8"))
        absent = self.as_user("absent", "bob", clean=False)
        absent.subscribe(("#", 1))
        absent.disconnect()
        for number in range(60):
            client = self.as_user(f"passing{number}", "bob")
            client.subscribe(("#", 0))
            client.disconnect()
        alice = self.as_user("a", "alice")
        alice.publish("in/absent", "yes", 1)
        alice.publish("in/passing3", "no", 1)
        absent = self.as_user("absent", "bob", clean=False)
        self.assertEqual(b"yes", absent.receive_publish().payload)
        self.assert_silent(absent)

    def test_assigned_identifiers_are_different(self):
        self.start_rights("pattern read in/%c", "user alice", "topic write in/#", options=["auto_id_prefix auto-"])
        found = []
        for user in ("alice", "bob"):
            self.as_user("", user).subscribe(("#", 0))
            found.append(re.search(r" as (auto-\w+) ", self.midge.wait_log(r"New client connected", len(found) + 1)).group(1))
        self.assertNotEqual(*found)

    def test_sys_is_the_brokers_own(self):
        self.start("sys_interval 0")
        watcher, client = self.client("w"), self.client("c")
        watcher.subscribe(("$SYS/#", 0))
        client.publish("$SYS/broker/version", "forged", 1)
        self.assert_silent(watcher)

    def test_a_bad_file(self):
        self.rights.write_text("user alice\ntopics a\n", encoding="ascii")
        error = self.refused("listener 0 127.0.0.1", f"acl_file {self.rights}")
        self.assertIn(f'{self.path}:2: option "acl_file": {self.rights}:2: a line begins with user, topic or pattern', error)


class TestReload(GateCase):
    def test_users_come_and_go(self):
        for name in ("stays", "goes", "changes"):
            self.add_user(name, "pw")
        self.start_users()
        stays, goes, changes = [self.as_user(name, name) for name in ("stays", "goes", "changes")]
        self.passwd("-D", self.users, "goes")
        self.add_user("changes", "new")
        self.add_user("comes", "pw")
        self.reload()
        self.assertEqual([[], []], [client.expect_close() for client in (goes, changes)])
        self.midge.wait_log(r"Client goes at 127\.0\.0\.1:\d+ disconnected: it may not be here any more .*password_file")
        stays.ping()
        self.assertEqual([5, 5, 0, 0], [self.login("c", *pair) for pair in (("goes", "pw"), ("changes", "pw"),
                                                                            ("changes", "new"), ("comes", "pw"))])

    def test_a_bad_file_keeps_the_users(self):
        self.add_user("alice", "pw")
        self.start_users("max_qos 1")
        alice = self.as_user("a", "alice")
        self.users.write_text("alice:$7$nonsense\n", encoding="ascii")
        self.write("listener 0 127.0.0.1", f"password_file {self.users}", "max_qos 0")
        self.assertIn(f"{self.users}:1: ", self.reload("Reload failed, nothing was changed"))
        self.assertEqual([1], alice.subscribe(("t", 2)))
        self.assertEqual(0, self.login("b", "alice", "pw"))

    def test_rights_change(self):
        self.add_user("alice", "pw")
        self.start_users()
        alice = self.as_user("a", "alice")
        alice.subscribe(("t", 0))
        alice.publish("t", "1", 1)
        self.assertEqual(b"1", alice.receive_publish().payload)
        self.rights.write_text("user alice\ntopic read t\n", encoding="ascii")
        self.write("listener 0 127.0.0.1", f"password_file {self.users}", f"acl_file {self.rights}")
        self.reload()
        alice.publish("t", "2", 1)
        self.assert_silent(alice)

    def test_under_load(self):
        """While messages flow, the same files are read again and again; nobody is dropped, and nothing is lost."""
        self.add_user("alice", "pw")
        self.rights.write_text("user alice\ntopic readwrite #\n", encoding="ascii")
        self.start_users(f"acl_file {self.rights}", "sys_interval 0")
        receivers = [self.as_user(f"receiver{number}", "alice") for number in range(20)]
        sender = self.as_user("sender", "alice")
        for receiver in receivers:
            receiver.subscribe(("#", 1))
        for batch in range(20):
            sender.send(b"".join(wire.publish_packet("t", str(batch * 10 + i), 1, batch * 10 + i + 1) for i in range(10)))
            self.midge.signal(signal.SIGHUP)
            for receiver in receivers:
                for i in range(10):
                    self.assertEqual(batch * 10 + i, int(receiver.receive_publish().payload))
        self.midge.wait_log("Reload: the configuration was read again")
        self.assertEqual([wire.PUBACK] * 200, [sender.receive().type for _ in range(200)])
        self.assertFalse([line for line in self.midge.log if "disconnected" in line])

    def test_limits_change(self):
        self.start("max_connections_per_address 1")
        first = self.client("first")
        self.assertEqual([], self.raw().expect_close())
        self.write("listener 0 127.0.0.1", "max_connections_per_address 3", "max_keepalive 60")
        self.reload()
        self.assertEqual(0, self.code("second", keepalive=60))
        self.assertEqual(2, self.code("second", keepalive=61))
        first.ping()


class TestOptions(GateCase):
    def test_use_username_as_clientid(self):
        self.add_user("alice", "pw")
        self.start_users("use_username_as_clientid true", "allow_anonymous true")
        first = self.as_user("one", "alice")
        self.midge.wait_log(r"New client connected from \S+ as alice ")
        self.as_user("two", "alice")
        self.assertEqual([], first.expect_close())
        self.client("unnamed")
        self.midge.wait_log(r"New client connected from \S+ as unnamed ")

    def test_auto_id_prefix(self):
        self.start("auto_id_prefix mine-")
        self.client("")
        self.midge.wait_log(r"New client connected from \S+ as mine-[0-9a-f]{16} ")

    def test_clientid_prefixes(self):
        self.start("clientid_prefixes dev-")
        self.assertEqual([0, 5, 5], [self.code(name) for name in ("dev-1", "de", "other-1")])
        self.midge.wait_log("Client other-1 at .* refused with return code 5: .*clientid_prefixes")

    def test_max_keepalive(self):
        self.start("max_keepalive 100")
        self.assertEqual([0, 2, 2], [self.code("c", keepalive=seconds) for seconds in (100, 101, 0)])
        self.midge.wait_log("refused with return code 2: its keep alive is too long .*max_keepalive")

    def test_max_connections_of_a_listener(self):
        self.start("max_connections 1", "listener 0 127.0.0.2")
        second = re.search(r"(127\.0\.0\.2) port (\d+)", self.midge.wait_log(r"listening on 127\.0\.0\.2 port"))
        first = self.client("first")
        self.assertEqual(3, self.code("other"))
        self.midge.wait_log("Client other at .* refused with return code 3: too many clients on this listener .*max_conn")
        self.assertEqual(0, self.raw((second.group(1), int(second.group(2)))).connect("other")[1])
        self.client("first").ping()  # takes its own session over
        self.assertEqual([], first.expect_close())

    def test_max_connections_per_address(self):
        self.start("max_connections_per_address 3", "sys_interval 1")
        clients = [self.client(f"c{number}") for number in range(3)]
        self.assertEqual([], self.raw().expect_close())
        self.midge.wait_log("Connection refused: its host has as many as it may .*max_connections_per_address")
        other = wire.socket.create_connection(self.midge.address(), source_address=("127.0.0.9", 0))
        self.addCleanup(other.close)
        other.sendall(wire.connect_packet("other"))
        self.assertEqual(b"\x20\x02\x00\x00", other.recv(4))
        wait_until(lambda: self.sys_value(clients[0], "connections/refused") == b"1")
        clients[1].disconnect()
        self.midge.wait_log("Client c1 .*disconnected")
        wait_until(lambda: self.comes_in())

    def comes_in(self):
        try:
            return self.raw().connect("again")[1] == 0
        except wire.Closed:
            return False


class TestRates(GateCase):
    def paced(self, *lines):
        """What a watcher sees of 30 messages in one burst, and when it has seen all of them."""
        self.start(*lines, "sys_interval 1")
        receiver, sender, other = self.client("receiver"), self.raw(), self.client("other")
        receiver.subscribe(("t", 0))
        burst = b"".join(wire.publish_packet("t", f"{number:095}") for number in range(30))
        started = time.monotonic()
        sender.send(wire.connect_packet("sender", keepalive=1) + burst + wire.packet(wire.PINGREQ, 0))
        other.ping()
        self.assertEqual(list(range(30)), [int(receiver.receive_publish().payload) for _ in range(30)])
        self.assertEqual([wire.CONNACK, wire.PINGRESP], [sender.receive().type for _ in range(2)])  # it was not found silent
        wait_until(lambda: int(self.sys_value(other, "stalls/rate")) > 0)
        return time.monotonic() - started

    def test_messages(self):
        self.assertGreaterEqual(self.paced("max_message_rate 10"), 1.9)

    def test_bytes(self):
        self.assertGreaterEqual(self.paced("max_byte_rate 1000"), 1.9)

    def test_no_rate(self):
        self.start("sys_interval 1")
        client = self.client("c")
        self.assertEqual(b"0", self.sys_value(client, "stalls/rate"))

    def test_a_rate_can_be_set_later(self):
        self.start()
        early = self.client("early")
        self.write("listener 0 127.0.0.1", "max_message_rate 10", "sys_interval 1")
        self.reload()
        late = self.client("late")
        started = time.monotonic()
        for client in (early, late):
            client.send(b"".join(wire.publish_packet("t", "x", 1, number + 1) for number in range(20)))
        for client, seconds in ((early, 0), (late, 0.9)):
            for _ in range(20):
                self.assertEqual(wire.PUBACK, client.receive().type)
            self.assertGreaterEqual(time.monotonic() - started, seconds)


if __name__ == "__main__":
    case.main("midge")
