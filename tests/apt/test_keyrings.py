"""Keyrings are read as far as their first key, with the command that hosts run."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.apt.archive import LIST
from gpuhost.domain.apt.openpgp import first_fingerprint
from gpuhost.snapshot.apt_keyrings import BEGINNINGS, read_keyrings
from gpuhost.snapshot.probes import Probe, Probes
from tests.test_openpgp import FINGERPRINTS, armored, binary


def read(root: Path) -> dict[str, str]:
    """The keys that the command finds below a directory, which stands for the host's root."""
    command = BEGINNINGS.replace(LIST, f"{root}{LIST}").replace("*(/(etc", f"*({root}/(etc")
    done = subprocess.run(["sh", "-c", command], capture_output=True, text=True, check=True)
    found = read_keyrings(Probes({"apt_keyrings": Probe(done.returncode, done.stdout)}))
    return {path.removeprefix(str(root)): key for path, key in found.items()}


def write(root: Path, path: str, content: bytes) -> None:
    file = root / path.removeprefix("/")
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_bytes(content)


def test_every_keyring_that_a_source_names(tmp_path: Path) -> None:
    """A line, deb822 with any case, a text file, several keys in one file; a comment names none."""
    write(tmp_path, "/etc/apt/keyrings/line.gpg", binary("rsa2048"))
    write(tmp_path, "/etc/apt/keyrings/text.asc", armored("ed25519"))
    write(tmp_path, "/usr/share/keyrings/both.pgp", binary("ed25519") + binary("rsa2048"))
    write(tmp_path, "/etc/apt/keyrings/comment.gpg", binary("rsa2048"))
    write(tmp_path, "/etc/apt/keyrings/empty.gpg", b"")
    source = f"[arch=amd64 signed-by={tmp_path}/etc/apt/keyrings/line.gpg] http://a.invalid x y"
    comment = f"# deb [signed-by={tmp_path}/etc/apt/keyrings/comment.gpg] http://a.invalid x y"
    write(tmp_path, LIST, f"deb {source}\n{comment}\n".encode())
    names = [
        f"Signed-By: {tmp_path}/etc/apt/keyrings/text.asc",
        f"signed-by:{tmp_path}/usr/share/keyrings/both.pgp",
        f"Signed-By: {tmp_path}/etc/apt/keyrings/empty.gpg",
        f"Signed-By: {tmp_path}/etc/apt/keyrings/missing.gpg",
    ]
    write(tmp_path, f"{LIST}.d/a.sources", "\n\n".join(names).encode())
    assert read(tmp_path) == {
        "/etc/apt/keyrings/line.gpg": FINGERPRINTS["rsa2048"],
        "/etc/apt/keyrings/text.asc": FINGERPRINTS["ed25519"],
        "/usr/share/keyrings/both.pgp": FINGERPRINTS["ed25519"],
    }


def test_only_files_in_directories_of_keyrings_are_read(tmp_path: Path) -> None:
    """A source cannot make the reading send another file of the host."""
    paths = ("/etc/shadow", "/etc/apt/auth.conf", "/etc/apt/keyrings/../auth.conf", "/root/key.gpg")
    for path in paths:
        write(tmp_path, path, binary("rsa2048"))
    lines = (f"deb [signed-by={tmp_path}{path}] http://a.invalid x y\n" for path in paths)
    write(tmp_path, LIST, "".join(lines).encode())
    write(tmp_path, "/etc/apt/keyrings/x", b"")
    assert read(tmp_path) == {}


@given(st.binary(max_size=2000))
def test_any_bytes(data: bytes) -> None:
    """Whatever a file holds: a fingerprint, or none."""
    for text in (data, b"-----BEGIN PGP PUBLIC KEY BLOCK-----\n\n" + data):
        found = first_fingerprint(text)
        assert found is None or re.fullmatch("[0-9A-F]{40}", found)


def test_a_beginning_is_enough_and_less_is_nothing() -> None:
    for name, fingerprint in FINGERPRINTS.items():
        assert first_fingerprint(binary(name)[:300]) == fingerprint
        assert first_fingerprint(armored(name)[:500]) == fingerprint
        assert first_fingerprint(binary(name)[:30]) is None
        assert first_fingerprint(armored(name)[:80]) is None
