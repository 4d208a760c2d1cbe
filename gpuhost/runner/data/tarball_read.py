"""Reads the tarballs of backups, those of earlier versions too, once from beginning to end."""

from __future__ import annotations

import gzip
import hashlib
import resource
import tarfile
import time
import zlib
from collections.abc import Iterator
from contextlib import AbstractContextManager, contextmanager
from dataclasses import dataclass
from pathlib import Path
from typing import BinaryIO, cast

from gpuhost.runner.data import tarball_member
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.files import pieces

PIECE = 1 << 18
# What reading any archive raises.
ERRORS = (
    *(tarfile.TarError, EOFError, zlib.error, OSError, ValueError, ArithmeticError),
    RecursionError,  # a header of a header of a header
)


@dataclass(frozen=True)
class Content:
    """What an archive has. + unpacked: bytes; + sha256: of the archive"""

    unpacked: int
    entries: int
    sha256: str


def read_through(source: Path, deadline: float) -> Content:
    """Read an archive to its end, with its checksums. Raises Failure."""
    unpacked = entries = 0
    digest = hashlib.sha256()
    with open_archive(source) as raw, failing_as_one(source):
        archive = Archive(cast(BinaryIO, _Hashing(raw, digest)))
        for info in archive.members():
            entries += 1
            for _, piece in archive.content(info):
                unpacked += len(piece)
                if time.monotonic() > deadline:
                    raise Failure(f"{source.name} was not verified within backup.limit_s")
        archive.read_to_end()
        for piece in pieces(raw):
            digest.update(piece)
    return Content(unpacked, entries, digest.hexdigest())


class Archive:
    """Goes once through a tarball; nothing of it stays in memory."""

    def __init__(self, raw: BinaryIO) -> None:
        self._file = gzip.GzipFile(fileobj=raw, mode="rb")
        self._tar = tarfile.open(  # noqa: SIM115 - closed with `raw`
            fileobj=self._file, mode="r:", encoding="utf-8", errors="surrogateescape"
        )

    def members(self) -> Iterator[tarfile.TarInfo]:
        while (info := self._tar.next()) is not None:
            abort.look()
            self._tar.members.clear()  # type: ignore[attr-defined]
            # Some versions of tarfile miscalculate the end of a sparse file.
            pieces = tarball_member.pieces_of(info)
            if pieces is not None:
                length = sum(length for _, length in pieces)
                self._tar.offset = info.offset_data + tarball_member.blocks(length)
            yield info

    def content(self, info: tarfile.TarInfo) -> Iterator[tuple[int, bytes]]:
        """Pieces of a file with their offsets."""
        if not info.isreg():
            return
        self._file.seek(info.offset_data)
        pieces = tarball_member.pieces_of(info)
        for offset, length in [(0, info.size)] if pieces is None else pieces:
            done = 0
            while done < length:
                piece = self._file.read(min(PIECE, length - done))
                if not piece:
                    raise EOFError("its end is missing")
                abort.look()
                yield offset + done, piece
                done += len(piece)

    def read_to_end(self) -> None:
        """The checksum is there. Raises TarError if something follows the last entry."""
        for piece in pieces(cast(BinaryIO, self._file)):
            if piece.strip(b"\0"):
                raise tarfile.ReadError("an entry in it is damaged")


@contextmanager
def open_files() -> Iterator[None]:
    """As many open files as the host allows: a walk has one open for each level of a tree."""
    limits = resource.getrlimit(resource.RLIMIT_NOFILE)
    resource.setrlimit(resource.RLIMIT_NOFILE, (limits[1], limits[1]))
    try:
        yield
    finally:
        resource.setrlimit(resource.RLIMIT_NOFILE, limits)


def open_archive(source: Path) -> BinaryIO:
    with explained(f"{source.name} cannot be read"):
        return source.open("rb")


def failing_as_one(source: Path, fix: str = "") -> AbstractContextManager[None]:
    return explained(f"{source.name} cannot be unpacked", fix, ERRORS)


class _Hashing:
    """A file that is only read, and the hash of what was read."""

    def __init__(self, file: BinaryIO, digest: hashlib._Hash) -> None:
        self._file, self._digest = file, digest

    def read(self, count: int = -1) -> bytes:
        piece = self._file.read(count)
        self._digest.update(piece)
        return piece
