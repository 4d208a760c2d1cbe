"""SSH keys of the lab: one for logins, one per host, created once and kept."""

from __future__ import annotations

import os
from dataclasses import dataclass
from pathlib import Path

from cryptography.hazmat.primitives import serialization
from cryptography.hazmat.primitives.asymmetric.ed25519 import Ed25519PrivateKey

from tests.lab.state import folder, locked


@dataclass(frozen=True)
class KeyPair:
    """An ed25519 key in OpenSSH's format; the public key is beside it, with ``.pub``."""

    private: Path

    @property
    def public_line(self) -> str:
        return self.private.with_name(f"{self.private.name}.pub").read_text().strip()


def keys_folder() -> Path:
    """The directory of the lab's own keys, for root only."""
    keys = folder() / "keys"
    keys.mkdir(exist_ok=True, mode=0o700)
    return keys


def login_key() -> KeyPair:
    """The key that root, ops and locked accept on every host."""
    return _pair("login")


def host_key(name: str) -> KeyPair:
    """A host's own key, the same each time a host of that name boots."""
    return _pair(f"host-{name}")


def remember_host(known_hosts: Path, address: str, key: KeyPair) -> None:
    """Record a host's key under its address, in place of an earlier one."""
    with locked("known_hosts"):
        lines = known_hosts.read_text().splitlines() if known_hosts.exists() else []
        kept = [line for line in lines if line.split()[0] != address]
        beside = known_hosts.with_name(f"{known_hosts.name}.new")
        beside.write_text("\n".join([*kept, f"{address} {key.public_line}"]) + "\n")
        beside.replace(known_hosts)


def _pair(name: str) -> KeyPair:
    pair = KeyPair(keys_folder() / name)
    if pair.private.exists():
        return pair
    with locked("keys"):
        if not pair.private.exists():
            _write(pair.private)
    return pair


def _write(path: Path) -> None:
    key = Ed25519PrivateKey.generate()
    public = key.public_key().public_bytes(
        serialization.Encoding.OpenSSH, serialization.PublicFormat.OpenSSH
    )
    private = key.private_bytes(
        serialization.Encoding.PEM,
        serialization.PrivateFormat.OpenSSH,
        serialization.NoEncryption(),
    )
    path.with_name(f"{path.name}.pub").write_text(f"{public.decode()} gpuhost-lab\n")
    beside = path.with_name(f"{path.name}.new")
    with os.fdopen(os.open(beside, os.O_WRONLY | os.O_CREAT | os.O_TRUNC, 0o600), "wb") as handle:
        handle.write(private)
    beside.replace(path)
