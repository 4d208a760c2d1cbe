"""Watched files: what the probe hashes on a host, and its parser."""

from __future__ import annotations

import hashlib
import os
import subprocess
from pathlib import Path

import pytest

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.watched import HASH, Watched


def hashed(*patterns: str, script: str = HASH) -> Probe:
    """What the probe prints for files of this machine."""
    done = subprocess.run(
        ["sh", "-c", script, "sh", *patterns], capture_output=True, text=True, timeout=10,
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


GROUPS = "root:x:0:\nsudo:x:27:ubuntu,ann\ndocker:x:999:\nusers:x:100:\nsudoers:x:5:eve\n"
ACCOUNTS = {
    "/root": "root:x:0:0",
    "/srv/second root": "toor:x:0:0",
    "/home/ubuntu": "ubuntu:x:1000:1000",
    "/net/ann": "ann:x:1001:1001",
    "/home/ci": "ci:x:1003:999",
    "/home/eve": "eve:x:1002:100",
}


def on(root: Path, *patterns: str) -> dict[str, str]:
    """The watched files of a host whose files are below this directory."""
    files = watched_on(root, *patterns).files
    return {path.removeprefix(str(root)): digest for path, digest in files.items()}


def watched_on(root: Path, *patterns: str) -> Watched:
    script = HASH
    for path in ("/etc/passwd", "/etc/group", "/proc/mounts", "/etc/systemd", "/usr/local"):
        script = script.replace(f" {path}", f" {root}{path}")
    (root / "etc").mkdir(exist_ok=True)
    (root / "proc").mkdir(exist_ok=True)
    (root / "etc/group").write_text(GROUPS)
    rows = [f"{account}::{root}{home}:/bin/sh\n" for home, account in ACCOUNTS.items()]
    (root / "etc/passwd").write_text("".join(rows) + "no:x:0:0::/dev/null:/bin/sh\n")
    (root / "proc/mounts").write_text(f"/dev/vda1 / ext4 rw 0 0\nnas:/h {root}/net nfs4 rw 0 0\n")
    return read(hashed(*patterns, script=script))


def test_keys_of_accounts_that_can_become_root(tmp_path: Path) -> None:
    """Homes on the network are left alone: a server that is gone would stop the reading."""
    for home in ACCOUNTS:
        (tmp_path / f"{home[1:]}/.ssh").mkdir(parents=True)
        (tmp_path / f"{home[1:]}/.ssh/authorized_keys").write_text("ssh-ed25519 AAAA")
    (tmp_path / "home/ubuntu/.ssh/authorized_keys2").write_text("ssh-ed25519 BBBB")
    assert set(on(tmp_path)) == {
        "/root/.ssh/authorized_keys",
        "/srv/second root/.ssh/authorized_keys",
        "/home/ubuntu/.ssh/authorized_keys",
        "/home/ubuntu/.ssh/authorized_keys2",
        "/home/ci/.ssh/authorized_keys",
    }


def test_units_that_are_links(tmp_path: Path) -> None:
    """`systemctl link` runs a file from anywhere; an alias of a package's unit is the package's."""
    units, local = tmp_path / "etc/systemd/system", tmp_path / "usr/local/lib/systemd/system"
    for folder in (units / "a.service.d", local, tmp_path / "opt"):
        folder.mkdir(parents=True)
    package = next(Path("/lib/systemd/system").glob("*.service"), None) or Path("/etc/passwd")
    (tmp_path / "opt/x.service").write_text("[Service]\n")
    (units / "x.service").symlink_to(tmp_path / "opt/x.service")
    (units / "relative.timer").symlink_to("../../../opt/x.service")
    (units / "a.service.d/x.conf").symlink_to("/usr/lib/systemd/system/../../../../etc/passwd")
    (units / "masked.service").symlink_to("/dev/null")
    (units / "alias.service").symlink_to(f"/lib/systemd/system/{package.name}")
    (units / "gone.service").symlink_to("/opt/nothing")
    (units / "real.service").write_text("[Service]\n")
    (local / "mine.service").write_text("[Service]\n")
    links = watched_on(tmp_path).links
    assert {link.removeprefix(str(tmp_path)) for link in links} == {
        "/etc/systemd/system/x.service",
        "/etc/systemd/system/relative.timer",
        "/etc/systemd/system/a.service.d/x.conf",
    }
    watched = on(tmp_path)
    assert {path: digest[:4] for path, digest in watched.items()} == {
        **dict.fromkeys(
            (
                "/etc/systemd/system/x.service",
                "/etc/systemd/system/relative.timer",
                "/etc/systemd/system/real.service",
                "/usr/local/lib/systemd/system/mine.service",
            ),
            hashlib.sha256(b"[Service]\n").hexdigest()[:4],
        ),
        "/etc/systemd/system/a.service.d/x.conf": hashlib.sha256(
            Path("/etc/passwd").read_bytes()
        ).hexdigest()[:4],
    }


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
