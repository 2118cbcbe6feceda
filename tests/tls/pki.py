"""Certificates for the tests, made by openssl when a test runs."""

import pathlib
import subprocess

KINDS = {
    "ec": ["-newkey", "ec", "-pkeyopt", "ec_paramgen_curve:prime256v1"],
    "rsa": ["-newkey", "rsa:2048"],
}

# What "openssl ca" wants to know before it revokes a certificate.
CONFIG = """
[ca]
default_ca = this
[this]
database = {folder}/{name}.index
crlnumber = {folder}/{name}.crlnumber
default_md = sha256
default_crl_days = 30
"""


def openssl(*arguments):
    done = subprocess.run(["openssl", *map(str, arguments)], capture_output=True, text=True, timeout=60, check=False)
    if done.returncode != 0:
        raise RuntimeError(f"openssl {arguments[0]}: {done.stderr}")
    return done.stdout


class Certificate:
    """A certificate and its key, each in a file."""

    def __init__(self, folder, name):
        self.path = pathlib.Path(folder) / f"{name}.pem"
        self.key = pathlib.Path(folder) / f"{name}.key"


class Authority(Certificate):
    """Signs certificates, and revokes them. With a parent it is one between the root and what it signs."""

    def __init__(self, folder, name, parent=None):
        super().__init__(folder, name)
        self.folder, self.name = pathlib.Path(folder), name
        if parent:
            parent.issue(name, f"/CN={name}", into=self, extension="basicConstraints=critical,CA:true")
        else:
            openssl("req", "-x509", *KINDS["ec"], "-nodes", "-days", 30, "-subj", f"/CN={name}", "-keyout", self.key,
                    "-out", self.path)

    def issue(self, name, subject, kind="ec", days=30, into=None, extension=None):
        made = into or Certificate(self.folder, name)
        request = self.folder / f"{name}.request"
        extension = extension or "subjectAltName=DNS:localhost,IP:127.0.0.1"
        openssl("req", *KINDS[kind], "-nodes", "-subj", subject, "-addext", extension, "-keyout", made.key, "-out", request)
        openssl("x509", "-req", "-in", request, "-CA", self.path, "-CAkey", self.key, "-CAcreateserial", "-days", days,
                "-copy_extensions", "copy", "-out", made.path)
        return made

    def revoked(self, *certificates):
        """The path of a list of what is revoked, these among it."""
        config = self.folder / f"{self.name}.config"
        config.write_text(CONFIG.format(folder=self.folder, name=self.name), encoding="ascii")
        number = self.folder / f"{self.name}.crlnumber"
        if not number.exists():
            (self.folder / f"{self.name}.index").touch()
            number.write_text("01\n", encoding="ascii")
        who = ["-config", config, "-cert", self.path, "-keyfile", self.key]
        for certificate in certificates:
            openssl("ca", *who, "-revoke", certificate.path)
        path = self.folder / f"{self.name}.crl"
        openssl("ca", *who, "-gencrl", "-out", path)
        return path
