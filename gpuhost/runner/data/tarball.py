"""Files and directories of an app as a tar archive, and back, with owners and modes."""

from __future__ import annotations

import os
import tarfile
import time
from collections.abc import Collection, Iterator
from pathlib import Path, PurePosixPath
from typing import IO

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log


def size(top: Path, without: Collection[Path] = ()) -> int:
    """Bytes of the files under a path."""
    return sum(
        path.lstat().st_size
        for path in _walk(top, without)
        if path.is_file() and not path.is_symlink()
    )


def pack(top: Path, target: Path, log: Log, *, without: Collection[Path], deadline: float) -> int:
    """A new tar.gz (0600) of a file or directory that may change meanwhile; bytes that went in.

    + without: files that are left out
    + deadline: time.monotonic() after which it is given up

    Raises Failure or OSError.
    """
    total = 0
    handle = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with (
        os.fdopen(handle, "wb") as raw,
        tarfile.open(fileobj=raw, mode="w:gz", compresslevel=1, format=tarfile.PAX_FORMAT) as tar,
    ):
        for path in _walk(top, without):
            if time.monotonic() > deadline:
                raise Failure(f"{top.name} was not packed in time: backup.limit_s is over")
            try:
                total += _add(tar, path, str(path.relative_to(top.parent)), log)
            except FileNotFoundError:
                continue  # a temporary file that is gone again
    return total


def unpack(source: Path, into: Path) -> None:
    """Into an empty directory that nobody else can write to; owners by number.

    Raises Failure for an archive that is not whole or reaches out of it.
    """
    try:
        with tarfile.open(source, "r:gz") as tar:
            members = tar.getmembers()
            _look_at(source, members)
            # gpuhost packed it, and its hash was checked: owners and modes are those of the app.
            if hasattr(tarfile, "fully_trusted_filter"):
                tar.extraction_filter = tarfile.fully_trusted_filter
            tar.extractall(into, numeric_owner=True)  # noqa: S202 - looked at above
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Failure(f"{source.name} cannot be unpacked: {error}") from error


def _look_at(source: Path, members: list[tarfile.TarInfo]) -> None:
    links = {PurePosixPath(member.name) for member in members if member.issym()}
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or links & set(path.parents):
            raise Failure(f"{source.name}: {member.name!r} would leave its directory")
        if not (member.isreg() or member.isdir() or member.issym()):
            raise Failure(f"{source.name}: {member.name!r} is not a file, directory or link")


def _walk(top: Path, without: Collection[Path]) -> Iterator[Path]:
    if top in without:
        return
    yield top
    if not top.is_dir() or top.is_symlink():
        return
    try:
        inside = sorted(top.iterdir())
    except FileNotFoundError:
        return
    for path in inside:
        yield from _walk(path, without)


def _add(tar: tarfile.TarFile, path: Path, name: str, log: Log) -> int:
    info = tar.gettarinfo(path, name)
    # gettarinfo gives None for a socket; a pipe holds no data either.
    if info is None or not (info.isreg() or info.islnk() or info.isdir() or info.issym()):
        return 0
    if not (info.isreg() or info.islnk()):
        tar.addfile(info)
        return 0
    # Another name of a file that was packed already is packed as a file of its own.
    info.type, info.linkname = tarfile.REGTYPE, ""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        padded = _Padded(file)
        tar.addfile(info, padded)  # type: ignore[arg-type]
    if padded.missing:
        log.write(f"warning: {name} shrank while it was read; its end is filled with zeros")
    return int(info.size)


class _Padded:
    """A file that has as many bytes as were announced, also when somebody cuts it short."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.missing = 0

    def read(self, count: int) -> bytes:
        piece = self._file.read(count)
        lacking = count - len(piece)
        self.missing += lacking
        return piece + b"\0" * lacking
