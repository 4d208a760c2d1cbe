"""What an app exchanges while it is packed, and archives that are hostile or damaged."""

from __future__ import annotations

import errno
import os
import stat
import tarfile
from collections.abc import Callable
from pathlib import Path
from typing import BinaryIO

import pytest

from gpuhost.runner.data import tarball_member
from gpuhost.runner.data.tarball_read import read_through
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from tests.runner.archives import Add, a_file, a_member, write_archive
from tests.runner.trees import LATE, by_a_link, describe, packed, top, unpacked

__all__ = ["top"]

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")
DIRECTORY, LINK, HARD = tarfile.DIRTYPE, tarfile.SYMTYPE, tarfile.LNKTYPE


Swap = Callable[[Path, Path], None]


def by_a_link_to_a_file(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    path.symlink_to(host / "secret")


def by_a_pipe(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    os.mkfifo(path)


def by_a_device(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))
    os.mknod(path, stat.S_IFCHR | 0o600, os.makedev(1, 3))


def by_nothing(path: Path, host: Path) -> None:
    path.rename(path.with_name(".moved"))


@pytest.mark.parametrize(
    "swap",
    [by_a_link, by_a_link_to_a_file, by_a_pipe, pytest.param(by_a_device, marks=root), by_nothing],
)
@pytest.mark.parametrize("name", ["inner", "inner/file"])
def test_what_is_exchanged_between_look_and_open_brings_nothing_from_outside(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, swap: Swap, name: str
) -> None:
    (top / "inner").mkdir()
    (top / "inner/file").write_text("of the app")
    look = DirectoryHandle.look

    def look_and_swap(handle: DirectoryHandle, one: str) -> os.stat_result | None:
        state = look(handle, one)
        if state is not None and handle.path / one == top / name:
            monkeypatch.setattr(DirectoryHandle, "look", look)
            swap(top / name, tmp_path / "host")
        return state

    monkeypatch.setattr(DirectoryHandle, "look", look_and_swap)
    packed(top, tmp_path / "data.tar.gz")
    with tarfile.open(tmp_path / "data.tar.gz") as archive:
        contents = {
            member.name: file.read()
            for member in archive
            if (file := archive.extractfile(member) if member.isreg() else None)
        }
    assert b"of the host" not in contents.values()
    assert not any("secret" in path for path in contents)
    assert name not in contents


class Opened:
    """A file that behaves in an odd way."""

    def __init__(self, file: BinaryIO, name: str) -> None:
        self.file, self.name = file, name

    def __getattr__(self, name: str) -> object:
        return getattr(self.file, name)

    def __enter__(self) -> Opened:
        return self

    def __exit__(self, *_: object) -> None:
        self.file.close()


def test_a_file_that_becomes_shorter_or_longer_while_it_is_read(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "longer").write_text("x" * 100)
    (top / "shorter").write_text("y" * 100)
    read = DirectoryHandle.read

    class Changing(Opened):
        def seek(self, offset: int) -> None:
            (top / self.name).write_text("z" * {"longer": 500, "shorter": 10}[self.name])

    monkeypatch.setattr(
        DirectoryHandle, "read", lambda handle, name: Changing(read(handle, name), name)
    )
    packed(top, tmp_path / "data.tar.gz")
    again = unpacked(tmp_path / "data.tar.gz", tmp_path / "into")
    assert (again / "longer").read_text() == "z" * 100
    assert (again / "shorter").read_bytes() == b"z" * 10 + b"\0" * 90
    assert "warning: data/shorter became shorter" in (tmp_path / "log").read_text()


def test_a_file_that_cannot_be_read_is_named(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "file").write_text("x")
    read = DirectoryHandle.read

    class Damaged(Opened):
        def read(self, count: int) -> bytes:
            raise OSError(errno.EIO, "Input/output error")

    monkeypatch.setattr(
        DirectoryHandle, "read", lambda handle, name: Damaged(read(handle, name), name)
    )
    with pytest.raises(OSError) as raised:
        packed(top, tmp_path / "data.tar.gz")
    assert raised.value.filename == "data/file"


def test_attributes_that_would_fill_the_memory_are_refused(
    top: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    (top / "file").touch()
    for number in range(3):
        os.setxattr(top / "file", f"user.{number}", b"x" * 400)
    monkeypatch.setattr(tarball_member, "MOST_XATTRS", 1000)
    with pytest.raises(OSError, match="more than 1 MiB of extended attributes") as raised:
        packed(top, tmp_path / "data.tar.gz")
    assert raised.value.filename == "data/file"


TOP = a_member("data", DIRECTORY)
INNER = a_member("data/a", DIRECTORY)
TO_HOST = a_member("data/a", LINK, "../../host")
TO_SECRET = a_member("data/a", LINK, "../../host/secret")
HOSTILE: dict[str, tuple[Add, ...]] = {
    "absolute": (a_file("/tmp/stolen"),),
    "above": (TOP, a_file("data/../../stolen")),
    "above as a name": (TOP, a_member("data/..", DIRECTORY)),
    "a file twice": (TOP, a_file("data/a"), a_file("data/a")),
    "a directory twice": (TOP, INNER, INNER),
    "two tops": (TOP, a_member("other", DIRECTORY)),
    "a link, then a file of its name": (TOP, TO_SECRET, a_file("data/a")),
    "a link, then a path through it": (TOP, TO_HOST, a_file("data/a/stolen")),
    "a link, then a directory of its name": (TOP, TO_HOST, INNER),
    "a hard link to the host": (TOP, a_member("data/a", HARD, "../host/secret")),
    "a hard link through a link": (TOP, TO_HOST, a_member("data/b", HARD, "data/a/secret")),
    "a hard link to a link": (TOP, TO_SECRET, a_member("data/b", HARD, "data/a")),
    "a hard link to nothing": (TOP, a_member("data/b", HARD, "data/a")),
    "a hard link to a directory": (
        TOP,
        a_member("data/d", DIRECTORY),
        a_member("data/b", HARD, "data/d"),
    ),
    "a file before its directory": (a_file("data/a"),),
    "a device": (TOP, a_member("data/a", tarfile.CHRTYPE)),
    "a pipe": (TOP, a_member("data/a", tarfile.FIFOTYPE)),
    "an unknown kind": (TOP, a_member("data/a", b"Z")),
    "nothing": (),
}


@pytest.mark.parametrize("members", HOSTILE.values(), ids=HOSTILE)
def test_hostile_archives_are_refused(top: Path, tmp_path: Path, members: tuple[Add, ...]) -> None:
    write_archive(tmp_path / "a.tar.gz", *members)
    before = describe(tmp_path / "host")
    with pytest.raises(Failure, match=r"a\.tar\.gz"):
        unpacked(tmp_path / "a.tar.gz", tmp_path / "into")
    assert describe(tmp_path / "host") == before
    assert not list(tmp_path.rglob("stolen"))


@pytest.mark.parametrize("cut", [1, 8, 9, 100, 400])
def test_an_archive_without_its_end_is_refused(top: Path, tmp_path: Path, cut: int) -> None:
    (top / "file").write_bytes(os.urandom(500))
    archive = tmp_path / "data.tar.gz"
    packed(top, archive)
    archive.write_bytes(archive.read_bytes()[:-cut])
    for read in (
        lambda: unpacked(archive, tmp_path / "into"),
        lambda: read_through(archive, LATE),
    ):
        with pytest.raises(Failure, match="cannot be unpacked"):
            read()
