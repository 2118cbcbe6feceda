"""Makes the keys of the images with TLS that the tests boot: tls_keys.py FOLDER. They are good for nothing else."""

import pathlib
import shutil
import sys

ROOT = pathlib.Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests" / "tls"))
import pki  # noqa: E402

PSK = "0123456789abcdef0123456789abcdef"
IDENTITY = "sensor"


def main(folder):
    """server.pem, server.key and psk are the image's; authority.pem has signed the first, stranger.pem has not."""
    shutil.rmtree(folder, ignore_errors=True)
    made = folder.parent / f"{folder.name}.made"
    shutil.rmtree(made, ignore_errors=True)
    made.mkdir(parents=True)
    authority = pki.Authority(made, "authority")
    server = authority.issue("server", "/CN=midge")
    folder.mkdir()
    shutil.copy(server.path, folder / "server.pem")
    shutil.copy(server.key, folder / "server.key")
    (folder / "psk").write_text(f"# for tests only\n{IDENTITY}:{PSK}\n", encoding="ascii")
    shutil.copy(authority.path, folder / "authority.pem")
    shutil.copy(pki.Authority(made, "stranger").path, folder / "stranger.pem")
    shutil.rmtree(made)


if __name__ == "__main__":
    main(pathlib.Path(sys.argv[1]).resolve())
