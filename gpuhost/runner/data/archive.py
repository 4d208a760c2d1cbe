"""Unpacks the source archive of a release; no file can escape the directory."""

from __future__ import annotations

import os
import tarfile
from itertools import takewhile
from pathlib import Path, PurePosixPath
from typing import BinaryIO, cast

from gpuhost.runner.data.tarball_read import failing_as_one
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.files import pieces
from gpuhost.runner.lib.room import Room, on_disk
from gpuhost.runner.lib.sizes import format_size

FREE_SPACE = "free disk space, or remove files from the source"
FIX = "release again: this makes a new archive"
MOST_ENTRIES = 1_000_000
# Headers with names, and their largest size.
LONG_NAMES = (tarfile.XHDTYPE, tarfile.SOLARIS_XHDTYPE, *tarfile.GNU_TYPES)
LONGEST_HEADER = 1 << 16


def unpack(archive: Path, into: Path) -> None:
    """Unpack regular files, directories and links, owned by root, without setuid bits.

    + into: a new directory

    Raises Failure for a path that leads outside, for devices, and for an incomplete archive.
    """
    if not archive.exists():
        raise Failure(f"{archive.name} is missing in the release", fix=FIX)
    into.mkdir()
    with (
        failing_as_one(archive, FIX),
        tarfile.open(archive, "r:gz", tarinfo=_Member) as opened,
    ):
        _unpack_all(opened, into)
        # Also for the checksum: a damaged entry ends the archive without an error.
        for piece in pieces(cast(BinaryIO, opened.fileobj)):
            if piece.strip(b"\0"):
                raise tarfile.ReadError("an entry in it is damaged")


def _unpack_all(opened: tarfile.TarFile, into: Path) -> None:
    target = _Target(into)
    while (member := opened.next()) is not None:
        # They would stay in memory.
        opened.members.clear()  # type: ignore[attr-defined]
        if member.issparse():
            raise tarfile.ReadError("it has a sparse file")
        target.begin(member.name, member.size if member.isfile() else 0)
        _unpack(opened, member, target)


class _Target:
    """The directory that entries are unpacked into, with what they make there."""

    def __init__(self, into: Path) -> None:
        self.into = into
        self._count = 0

    def begin(self, name: str, size: int = 0) -> None:
        """Of an entry: a directory and a link need room too. Raises Failure."""
        abort.look()
        self._count += 1
        if self._count > MOST_ENTRIES:
            raise Failure(
                f"the source has more than {MOST_ENTRIES} files and directories", fix="remove some"
            )
        what = f"to unpack {shown(name)} of the source"
        with DirectoryHandle.open(self.into) as directory:
            Room.of(directory).require(on_disk(size), what, str(self.into), FREE_SPACE)

    def make_parents(self, path: Path) -> None:
        """An entry may name hundreds. Raises as `begin`."""
        missing = list(takewhile(lambda parent: not parent.exists(), path.parents))
        for parent in reversed(missing):
            self.begin(str(parent.relative_to(self.into)))
            parent.mkdir()


class _Member(tarfile.TarInfo):
    """Refuses what our own archives never have, and what a reader would keep in memory."""

    @classmethod
    def frombuf(cls, buf: bytes | bytearray, encoding: str, errors: str) -> _Member:
        member = super().frombuf(buf, encoding, errors)
        if member.type in (tarfile.XGLTYPE, tarfile.GNUTYPE_SPARSE):
            raise tarfile.ReadError("it has an entry of a kind that is not used")
        if member.type in LONG_NAMES and member.size > LONGEST_HEADER:
            raise tarfile.ReadError(f"it has a header of {format_size(member.size)}")
        return member


def _unpack(opened: tarfile.TarFile, member: tarfile.TarInfo, target: _Target) -> None:
    path = _inside(target.into, member.name)
    if path == target.into:
        return
    target.make_parents(path)
    if member.isdir():
        path.mkdir(exist_ok=True)
        path.chmod(member.mode & 0o777 | 0o700)
    elif member.issym():
        # Links may point anywhere: nothing is written through them.
        path.symlink_to(member.linkname)
    elif member.islnk():
        path.hardlink_to(_inside(target.into, member.linkname))
    elif member.isfile():
        _write(opened, member, path)
    else:
        raise Failure(f"the source has a device or a pipe, {shown(member.name)}", fix="remove it")


def _write(opened: tarfile.TarFile, member: tarfile.TarInfo, path: Path) -> None:
    content = opened.extractfile(member)
    assert content is not None
    with path.open("xb") as file:
        file.writelines(pieces(cast(BinaryIO, content)))
        os.fchmod(file.fileno(), member.mode & 0o777)


def _inside(into: Path, name: str) -> Path:
    """The path of a member. Raises Failure if it is outside of `into` or behind a link."""
    pure = PurePosixPath(name)
    if pure.is_absolute() or ".." in pure.parts:
        raise Failure(f"the archive has a path outside of its directory, {shown(name)}", fix=FIX)
    path = into
    for part in pure.parts:
        path /= part
        if path.is_symlink():
            raise Failure(f"the archive writes through a link, {shown(name)}", fix=FIX)
    return path
