"""The cases of tests/interop under Paho C, inside TLS: paho.py MIDGE PAHO [--client-certificate] [ARGUMENT]...

Makes certificates, and has tests/interop/fixture.py start midge with a second listener that has TLS, which PAHO then uses.
"""

import pathlib
import subprocess
import sys
import tempfile

import pki

sys.path.insert(0, str(pathlib.Path(__file__).resolve().parents[1] / "interop"))
import fixture  # noqa: E402


def main():
    midge, paho, *arguments = sys.argv[1:]
    mutual = "--client-certificate" in arguments
    with tempfile.TemporaryDirectory() as folder:
        authority = pki.Authority(folder, "authority")
        server = authority.issue("server", "/CN=localhost", "ec" if mutual else "rsa")
        port = fixture.free_port()
        lines = [f"listener {port} 127.0.0.1", f"certfile {server.path}", f"keyfile {server.key}"]
        tls = ["--tls", f"localhost:{port}", str(authority.path)]
        if mutual:
            arguments.remove("--client-certificate")
            client = authority.issue("client", "/CN=paho", "rsa")
            lines += [f"cafile {authority.path}", "require_certificate true"]
            tls += ["--certificate", str(client.path), str(client.key)]
        options = [part for line in lines for part in ("--config", line)]
        command = [sys.executable, fixture.__file__, "--broker", midge, "--lossless", *options, paho, *arguments, *tls]
        return subprocess.run(command, check=False).returncode


if __name__ == "__main__":
    sys.exit(main())
