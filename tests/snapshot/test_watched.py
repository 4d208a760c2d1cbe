"""Watched files: what the probe hashes on a host, and its parser."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.watched import HASH, Watched


def hashed(*patterns: str) -> Probe:
    """What the probe prints for files of this machine."""
    done = subprocess.run(
        ["sh", "-c", HASH, "sh", *patterns], capture_output=True, text=True, timeout=10,
        env={"LC_ALL": "C", "PATH": os.environ["PATH"]},
    )  # fmt: skip
    return Probe(done.returncode, done.stdout, done.stderr)


def read(probe: Probe, accounts: str = "root\n", groups: str = "") -> Watched:
    rest = {"root_accounts": Probe(0, accounts), "root_groups": Probe(0, groups)}
    return Watched.read(Probes({"watched": probe, **rest}))


def test_patterns_are_expanded_and_only_small_files_are_read(tmp_path: Path) -> None:
    """A pipe would never end; a link leads to what is in force."""
    folder = tmp_path / "with space"
    folder.mkdir()
    (folder / "a.conf").write_text("x")
    (folder / "b;touch c.conf").write_text("y")
    (folder / "link.conf").symlink_to(folder / "a.conf")
    (folder / "gone.conf").symlink_to(folder / "nothing")
    (folder / "directory.conf").mkdir()
    os.mkfifo(folder / "pipe.conf")
    with (folder / "large.conf").open("wb") as file:
        file.truncate(1 << 30)
    watched = read(hashed(f"{folder}/*.conf", f"{tmp_path}/none/*", f"{tmp_path}/none"))
    names = {name.removeprefix(f"{folder}/"): digest for name, digest in watched.files.items()}
    ours = {name: digest for name, digest in names.items() if not name.startswith("/")}
    x, y = (hashlib.sha256(text).hexdigest() for text in (b"x", b"y"))
    assert ours == {"a.conf": x, "b;touch c.conf": y, "link.conf": x}
    assert not (tmp_path / "c.conf").exists()


def test_accounts_and_groups() -> None:
    watched = read(Probe(0), "root\ntoor\n", "sudo:bob,ann\ndocker:\n")
    assert watched.accounts == ("root", "toor")
    assert watched.groups == {"sudo": ("ann", "bob"), "docker": ()}


@pytest.mark.parametrize(
    "probe",
    [
        Probe(None),
        Probe(127, "", "sh: not found"),
        Probe(1, "", "sha256sum: /etc/sudoers: Permission denied"),
    ],
)
def test_a_file_that_could_not_be_read_is_not_absent(probe: Probe) -> None:
    with pytest.raises(NotRead, match="watched: "):
        read(probe)
