"""Packs and unpacks files and directories of an app, with owners and modes."""

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
    """Pack a file or directory that may change meanwhile into a new tar.gz (0600).

    Returns the unpacked bytes.

    + without: files to leave out
    + deadline: a time.monotonic()

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
                raise Failure(f"{top.name} was not packed within backup.limit_s")
            try:
                total += _add(tar, path, str(path.relative_to(top.parent)), log)
            except FileNotFoundError:
                continue  # a temporary file
    return total


def unpack(source: Path, into: Path) -> None:
    """Unpack into an empty directory of root, with numeric owners.

    Raises Failure for an incomplete archive, or one with paths outside of it.
    """
    try:
        with tarfile.open(source, "r:gz") as tar:
            members = tar.getmembers()
            _check(source, members)
            # Made by gpuhost and verified by hash: keep all owners and modes.
            if hasattr(tarfile, "fully_trusted_filter"):
                tar.extraction_filter = tarfile.fully_trusted_filter
            tar.extractall(into, numeric_owner=True)  # noqa: S202 - checked above
    except (tarfile.TarError, EOFError, OSError) as error:
        raise Failure(f"{source.name} cannot be unpacked: {error}") from error


def _check(source: Path, members: list[tarfile.TarInfo]) -> None:
    links = {PurePosixPath(member.name) for member in members if member.issym()}
    for member in members:
        path = PurePosixPath(member.name)
        if path.is_absolute() or ".." in path.parts or links & set(path.parents):
            raise Failure(f"{source.name}: {member.name!r} is outside of its directory")
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
    # gettarinfo returns None for a socket; a pipe has no data either.
    if info is None or not (info.isreg() or info.islnk() or info.isdir() or info.issym()):
        return 0
    if not (info.isreg() or info.islnk()):
        tar.addfile(info)
        return 0
    # A hard link is packed as a file of its own.
    info.type, info.linkname = tarfile.REGTYPE, ""
    with os.fdopen(os.open(path, os.O_RDONLY | os.O_NOFOLLOW), "rb") as file:
        info.size = os.fstat(file.fileno()).st_size
        padded = _Padded(file)
        tar.addfile(info, padded)  # type: ignore[arg-type]
    if padded.missing:
        log.write(f"warning: {name} became shorter while it was read; its end is filled with zeros")
    return int(info.size)


class _Padded:
    """A file that is filled with zeros if it becomes shorter than announced."""

    def __init__(self, file: IO[bytes]) -> None:
        self._file = file
        self.missing = 0

    def read(self, count: int) -> bytes:
        piece = self._file.read(count)
        missing = count - len(piece)
        self.missing += missing
        return piece + b"\0" * missing
