#!/usr/bin/env python3
"""Writes the keys of an image with TLS as C, from a folder: server.pem (the certificate, and those that lead to its authority)
and server.key (its private key, without a passphrase), psk (lines IDENTITY:KEY, the key in hexadecimal digits), or both."""
import base64
import pathlib
import re
import sys

BLOCK = re.compile(r"-----BEGIN ([A-Z ]+)-----\s+([A-Za-z0-9+/=\s]+)-----END \1-----")


def blocks(path, kind):
    """The DER bytes of the PEM blocks of this kind."""
    return [base64.b64decode(text) for name, text in BLOCK.findall(path.read_text(encoding="ascii")) if name.endswith(kind)]


def array(name, content):
    numbers = [f"0x{byte:02X}," for byte in content]
    lines = [" ".join(numbers[at:at + 16]) for at in range(0, len(numbers), 16)]
    return f"static const uint8_t {name}[] = {{\n    " + "\n    ".join(lines) + "\n};\n"


def shared_keys(path):
    for number, line in enumerate(path.read_text(encoding="utf-8").splitlines(), 1):
        if not line or line.startswith("#"):
            continue
        match = re.fullmatch(r"([^:]{1,128}):((?:[0-9A-Fa-f]{2}){1,32})", line)
        if not match:
            sys.exit(f"{path}:{number}: IDENTITY:KEY is wanted, the key of 2 .. 64 hexadecimal digits")
        yield match[1].encode(), bytes.fromhex(match[2])


def certificates(folder):
    """The certificates and the private key."""
    certificate, key = folder / "server.pem", folder / "server.key"
    if certificate.exists() != key.exists():
        sys.exit(f"{folder}: server.pem and server.key belong together")
    if not certificate.exists():
        return [], []
    if "ENCRYPTED" in key.read_text(encoding="ascii"):
        sys.exit(f"{key} has a passphrase; remove it: openssl pkey -in FILE -out FILE")
    chain, keys = blocks(certificate, "CERTIFICATE"), blocks(key, "PRIVATE KEY")
    if not chain or len(keys) != 1:
        sys.exit(f"{folder}: server.pem has {len(chain)} certificates, server.key has {len(keys)} keys; PEM is wanted")
    return chain, keys


def main():
    folder, output = (pathlib.Path(argument) for argument in sys.argv[1:])
    chain, keys = certificates(folder)
    shared = list(shared_keys(folder / "psk")) if (folder / "psk").exists() else []
    if not chain and not shared:
        sys.exit(f"{folder}: neither server.pem and server.key nor psk is there")
    parts = ['#include "secure.h"\n']
    parts += [array(f"certificate_{number}", one) for number, one in enumerate(chain)]
    parts += [array("private_key", one) for one in keys]
    for number, (identity, key) in enumerate(shared):
        parts += [array(f"identity_{number}", identity + b"\0"), array(f"shared_{number}", key)]
    rows = [f"{{certificate_{number}, sizeof certificate_{number}}}," for number in range(len(chain))]
    parts.append(f"const struct midge_key_bytes midge_keys_certificates[] = {{{' '.join(rows) or '{0}'}}};")
    parts.append(f"const size_t midge_keys_certificate_count = {len(chain)};")
    parts.append(f"const struct midge_key_bytes midge_keys_private = {{{'private_key, sizeof private_key' if keys else '0'}}};")
    rows = [f"{{(const char *)identity_{number}, {{shared_{number}, sizeof shared_{number}}}}},"
            for number in range(len(shared))]
    parts.append(f"const struct midge_key_shared midge_keys_shared[] = {{{' '.join(rows) or '{0}'}}};")
    parts.append(f"const size_t midge_keys_shared_count = {len(shared)};\n")
    output.write_text("\n".join(parts), encoding="ascii")


if __name__ == "__main__":
    main()
