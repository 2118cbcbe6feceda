"""Configurations as they are found in the field: Midge starts with them, or names every line that is in its way.

What is in the way is taken out here, as somebody would do who reads what --test-config says; then Midge has to start and serve.
"""

import re

import case
from case import OPTIONS, Case, run

# The add-on of Home Assistant renders a file of this shape; its users are those of a plugin.
HOME_ASSISTANT = """
user root
log_dest stdout
log_type error
log_type warning
log_type notice
log_type information
log_timestamp_format %Y-%m-%d %H:%M:%S
persistence true
persistence_location /data/

# Limits
max_queued_messages 8192

# Users
auth_plugin /usr/share/mosquitto/go-auth.so
auth_plugin_deny_special_chars false
auth_opt_backends files,http
auth_opt_hasher pbkdf2
auth_opt_files_password_path /etc/mosquitto/pw

listener 0
protocol mqtt

listener 0
protocol websockets

include_dir FOLDER/share
"""

# What guides to Zigbee2MQTT with Docker have, in many variants.
ZIGBEE2MQTT = """
# Config file for mosquitto
persistence true
persistence_location FOLDER
log_dest file FOLDER/mosquitto.log
log_dest stdout
listener        0
allow_anonymous false
password_file   FOLDER/passwd

## Websockets
listener 0 0.0.0.0
protocol websockets
"""

DEBIAN = """
pid_file FOLDER/mosquitto.pid

persistence true
persistence_location FOLDER

log_dest file FOLDER/mosquitto.log

include_dir FOLDER/share
port 0
bind_address 127.0.0.1
"""

PLAIN = """
per_listener_settings false
listener 0
allow_anonymous true
connection_messages true
log_type all
log_dest stderr
max_inflight_messages 0
max_queued_messages 1000
message_size_limit 0
set_tcp_nodelay true
sys_interval 10
"""

# What guides to Mosquitto in Docker have: comments behind values, a second listener for browsers.
DOCKER = """
listener 0 0.0.0.0 # plain MQTT
listener 0 0.0.0.0 # for browsers
protocol websockets
allow_anonymous true # at home
persistence true
persistence_file mosquitto.db
persistence_location FOLDER/data/
autosave_interval 300
autosave_on_changes false
log_type subscribe
log_type websockets
log_type error
log_type information
log_dest file FOLDER/mosquitto.log
log_dest stdout
"""

LOCKED = """
allow_anonymous false
password_file FOLDER/passwd
acl_file FOLDER/acl
listener 0 127.0.0.1
max_keepalive 300
max_packet_size 1048576
use_username_as_clientid true
persistent_client_expiration 14d
log_type warning
log_type error
log_type information
"""

# Options that stop the start.
IN_THE_WAY = {"persistence", "auth_plugin", "auth_plugin_deny_special_chars", "auth_opt_backends",
              "auth_opt_hasher", "auth_opt_files_password_path", "protocol"}


class TestField(Case):
    def check(self, content):
        """The lines that are in the way, by number: (option, advice)."""
        self.path.write_text(content.replace("FOLDER", str(self.folder)), encoding="utf-8")
        result = run(OPTIONS.midge, "--test-config", "-c", self.path)
        self.assertEqual("", result.stdout)
        found = {}
        for line in result.stderr.splitlines():
            match = re.fullmatch(rf'midge: {re.escape(str(self.path))}:(\d+): option "(\S+)": (.+)', line)
            self.assertTrue(match, line)
            found[int(match.group(1))] = match.group(2), match.group(3)
        self.assertEqual(2 if found else 0, result.returncode)
        return found

    def serve(self, content, in_the_way, **options):
        """Starts without the lines that are in the way; `protocol websockets` takes its whole listener along."""
        (self.folder / "share").mkdir()
        run(OPTIONS.midge, "passwd", "-c", "-i", "10", "-b", self.folder / "passwd", "mqtt", "pw")
        (self.folder / "acl").write_text("user mqtt\ntopic zigbee2mqtt/#\n", encoding="ascii")
        found = self.check(content)
        lines = content.splitlines()
        named = set()
        for number, (option, advice) in found.items():
            named.add(option)
            self.assertEqual(option, lines[number - 1].split()[0])
            lines[number - 1] = ""
            if option == "protocol":
                self.assertIn("remove this listener", advice)
                self.assertTrue(lines[number - 2].startswith("listener"))
                lines[number - 2] = ""
        self.assertEqual(in_the_way, named & IN_THE_WAY)
        rest = "\n".join(lines)
        self.assertEqual({}, self.check(rest))
        self.start(rest.replace("FOLDER", str(self.folder)), "log_dest stderr", listener=None)
        port = int(re.search(r"port (\d+)", self.midge.wait_log(r"listening on (0\.0\.0\.0|127\.0\.0\.1) port")).group(1))
        client = self.raw(("127.0.0.1", port))
        code = client.connect("client", **options)[1]
        return client if code == 0 else code

    def exchange(self, client):
        client.subscribe(("zigbee2mqtt/#", 1))
        client.publish("zigbee2mqtt/bridge/state", "online", 1, retain=True)
        self.assertEqual(b"online", client.receive_publish().payload)

    def test_home_assistant(self):
        """Without its plugin nobody may come in: there are no users, and a port that others can reach."""
        self.assertEqual(5, self.serve(HOME_ASSISTANT, IN_THE_WAY, username="mqtt", password="pw"))

    def test_zigbee2mqtt(self):
        self.exchange(self.serve(ZIGBEE2MQTT, {"persistence", "protocol"}, username="mqtt",
                                 password="pw"))

    def test_docker(self):
        self.exchange(self.serve(DOCKER, {"persistence", "protocol"}))

    def test_plain(self):
        self.exchange(self.serve(PLAIN, set()))

    def test_locked(self):
        self.exchange(self.serve(LOCKED, set(), username="mqtt", password="pw", keepalive=60))

    def test_debian(self):
        """The file of Debian's package."""
        self.exchange(self.serve(DEBIAN, {"persistence"}))


if __name__ == "__main__":
    case.main("midge")
