"""Folders of keys that boards/keys.py refuses, each with its reason."""

import pathlib
import subprocess
import sys
import tempfile

ROOT = pathlib.Path(__file__).resolve().parents[2]
CERTIFICATE = "-----BEGIN CERTIFICATE-----\nMAA=\n-----END CERTIFICATE-----\n"
KEY = "-----BEGIN PRIVATE KEY-----\nMAA=\n-----END PRIVATE KEY-----\n"
ENCRYPTED = KEY.replace("PRIVATE", "ENCRYPTED PRIVATE")

CASES = (
    ({}, "neither server.pem and server.key nor psk is there"),
    ({"server.pem": CERTIFICATE}, "server.pem and server.key belong together"),
    ({"server.key": KEY}, "server.pem and server.key belong together"),
    ({"server.pem": "", "server.key": KEY}, "server.pem has 0 certificates, server.key has 1 keys; PEM is wanted"),
    ({"server.pem": CERTIFICATE, "server.key": ENCRYPTED}, "server.key has a passphrase; remove it"),
    ({"psk": "# none\n"}, "neither server.pem and server.key nor psk is there"),
    ({"psk": "good:00\nbad\n"}, "psk:2: IDENTITY:KEY is wanted"),
    ({"psk": "odd:000\n"}, "psk:1: IDENTITY:KEY is wanted"),
    ({"psk": ":00\n"}, "psk:1: IDENTITY:KEY is wanted"),
    ({"psk": "long:" + "00" * 33 + "\n"}, "psk:1: IDENTITY:KEY is wanted"),
    ({"psk": "i" * 129 + ":00\n"}, "psk:1: IDENTITY:KEY is wanted"),
    ({"psk": "i" * 128 + ":" + "00" * 32 + "\n", "server.pem": CERTIFICATE * 2, "server.key": KEY}, None),
)


def main():
    for files, reason in CASES:
        with tempfile.TemporaryDirectory() as name:
            folder = pathlib.Path(name)
            for path, text in files.items():
                (folder / path).write_text(text, encoding="ascii")
            done = subprocess.run([sys.executable, ROOT / "boards" / "keys.py", folder, folder / "keys.c"],
                                  capture_output=True, text=True, check=False)
            good = done.returncode == 0 if reason is None else done.returncode == 1 and reason in done.stderr
            if not good or (folder / "keys.c").exists() != (reason is None):
                sys.exit(f"{files}: {done.returncode} {done.stderr}")
    print(f"{len(CASES)} folders")


if __name__ == "__main__":
    main()
