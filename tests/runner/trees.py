"""Trees of files, with all that a backup keeps of them."""

from __future__ import annotations

import os
import stat
import struct
from pathlib import Path

import pytest

from gpuhost.runner.data import tarball
from gpuhost.runner.data.backup_source import Source
from gpuhost.runner.data.tarball_pack import pack
from gpuhost.runner.data.tarball_read import Content, read_through
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.log import Log

ACL, DEFAULT_ACL = "system.posix_acl_access", "system.posix_acl_default"
LATE = float("inf")


@pytest.fixture
def top(tmp_path: Path) -> Path:
    """A directory of an app, beside one of the host."""
    (tmp_path / "data").mkdir()
    (tmp_path / "host").mkdir()
    (tmp_path / "host/secret").write_text("of the host")
    return tmp_path / "data"


def by_a_link(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    path.symlink_to(host)


def an_acl(uid: int, permissions: int = 6) -> bytes:
    """An ACL with an entry for a user, as the kernel stores it."""
    nobody = 0xFFFFFFFF
    entries = (
        (1, 6, nobody),
        (2, permissions, uid),
        (4, 4, nobody),
        (16, 6, nobody),
        (32, 0, nobody),
    )
    return struct.pack("<I", 2) + b"".join(struct.pack("<HHI", *entry) for entry in entries)


def describe(top: Path) -> dict[bytes, tuple[object, ...]]:
    """Every entry of a tree by its path: kind, owner, mode, time, content, attributes, names."""
    described = {}
    names: dict[tuple[int, int], bytes] = {}
    for entry in DirectoryHandle.open(top.parent).walk(top.name):
        path, state = top.parent / entry.path, entry.state
        content: object = None
        if entry.is_link:
            content = path.readlink()
        elif entry.is_file:
            content = path.read_bytes()
        mode = None if entry.is_link else stat.S_IMODE(state.st_mode)
        attributes = (
            ()
            if entry.is_link
            else tuple((name, os.getxattr(path, name)) for name in sorted(os.listxattr(path)))
        )
        first = names.setdefault((state.st_dev, state.st_ino), os.fsencode(entry.path))
        described[os.fsencode(entry.path)] = (
            stat.S_IFMT(state.st_mode), state.st_uid, state.st_gid, mode, state.st_mtime_ns,
            content, attributes, first,
        )  # fmt: skip
    return described


def a_log(directory: Path) -> Log:
    return Log(directory / "log")


def packed(
    top: Path, target: Path, *, without: tuple[Path, ...] = (), deadline: float = LATE
) -> Content:
    """Packs a file or directory, and reads the archive through."""
    is_directory = top.is_dir()
    with DirectoryHandle.open(top if is_directory else top.parent) as handle:
        source = Source(handle, "" if is_directory else top.name, top)
        written = pack(source, target, a_log(target.parent), without=without, deadline=deadline)
    assert read_through(target, LATE) == written
    return written


def unpacked(archive: Path, into: Path) -> Path:
    into.mkdir(mode=0o700)
    tarball.unpack(archive, into)
    (top,) = into.iterdir()
    return top
