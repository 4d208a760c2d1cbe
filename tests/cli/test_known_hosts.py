"""known_hosts by name finds what paramiko finds by comparing every line."""

from __future__ import annotations

from pathlib import Path

import pytest
from paramiko import Ed25519Key, HostKeys

from gpuhost.remote.known_hosts import KnownHosts
from tests.cli.sshd import public_key

NAMES = ("203.0.113.7", "[203.0.113.7]:2222", "gpu-1.example", "alias", "hashed.example", "absent")


@pytest.fixture
def file(tmp_path: Path) -> Path:
    keys = [public_key(tmp_path / f"key{number}") for number in range(4)]
    hashed = HostKeys.hash_host("hashed.example")
    lines = (
        f"203.0.113.7 {keys[0]}",
        f"[203.0.113.7]:2222 {keys[1]}",
        "# a comment",
        f"gpu-1.example,alias {keys[2]}",
        # The same name again: the first key of a type counts.
        f"alias {keys[3]}",
        f"{hashed} {keys[3]}",
        "nonsense",
        # The same line again is not kept.
        f"203.0.113.7 {keys[0]}",
    )
    (tmp_path / "known_hosts").write_text("\n".join(lines) + "\n")
    return tmp_path / "known_hosts"


def answers(known: HostKeys, name: str) -> list[tuple[str, bytes]] | None:
    found = known.lookup(name)
    return None if found is None else [(kind, found[kind].asbytes()) for kind in found]


def test_each_name_has_the_same_keys(file: Path) -> None:
    ours, paramikos = KnownHosts(str(file)), HostKeys(str(file))
    assert [answers(ours, name) for name in NAMES] == [answers(paramikos, name) for name in NAMES]
    assert answers(ours, "absent") is None
    assert answers(ours, "hashed.example")
    assert len(ours._entries) == 5


def test_an_added_key_is_found(file: Path, tmp_path: Path) -> None:
    ours = KnownHosts(str(file))
    assert answers(ours, "absent") is None
    key = Ed25519Key(filename=str(tmp_path / "key0"))
    ours.add("absent", key.get_name(), key)
    assert answers(ours, "absent") == [("ssh-ed25519", key.asbytes())]
    assert ours.check("absent", key)
