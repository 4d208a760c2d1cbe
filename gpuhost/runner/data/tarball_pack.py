"""Packs files and directories of an app, which may change meanwhile.

Everything is opened by a handle of its directory, and never followed: nothing outside of the
declared path gets into the archive.
"""

from __future__ import annotations

import errno
import hashlib
import os
import tarfile
import time
from collections.abc import Callable, Collection
from pathlib import Path
from typing import BinaryIO

from gpuhost.runner.data import tarball_member as member
from gpuhost.runner.data.backup_source import Source
from gpuhost.runner.data.stored import require_room
from gpuhost.runner.data.tarball_read import Content, open_files
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import Entry
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.log import Log

# Bytes of a path, with the zero at its end.
LONGEST_PATH = 4096
PIECE = 1 << 18
# Files whose other names are not found yet, and may be elsewhere: further ones are packed whole.
MOST_LINKED = 50_000
# Of opening a link, a pipe or directory, a socket or a device.
NO_FILE = (errno.ELOOP, errno.EINVAL, errno.ENXIO, errno.ENODEV)


def size(source: Source, without: Collection[Path], deadline: float) -> int:
    """Bytes of the files on their disk. Raises Failure or OSError."""
    total = 0
    with open_files():
        for entry in source.walk(without):
            require_time(source.path.name, deadline)
            _require_short(entry.path)
            if entry.is_file:
                total += min(entry.state.st_size, entry.state.st_blocks * member.BLOCK)
    return total


def pack(
    source: Source, target: Path, log: Log, *, without: Collection[Path], deadline: float
) -> Content:
    """Pack into a new tar.gz (0600).

    + deadline: a time.monotonic()

    Raises Failure or OSError.
    """
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as raw, open_files():
        hashed = _Hashed(raw, target)
        with tarfile.open(
            fileobj=hashed,  # type: ignore[call-overload]
            mode="w:gz",
            compresslevel=1,
            format=tarfile.PAX_FORMAT,
            encoding="utf-8",
            errors="surrogateescape",
            copybufsize=PIECE,
        ) as tar:
            packer = _Packer(tar, log, source.path.name, deadline)
            for entry in source.walk(without):
                packer.add(entry)
            packer.end()
    return Content(packer.unpacked, packer.entries, hashed.digest.hexdigest())


def _require_short(path: str) -> None:
    """Raises Failure."""
    if len(os.fsencode(path)) >= LONGEST_PATH:
        raise Failure(
            f"{shown(path)} is too deep for a path, which has at most {LONGEST_PATH - 1} bytes",
            fix="move it up, or list other paths in x-gpuhost.backup",
        )


def require_time(name: str, deadline: float) -> None:
    """An app can make files faster than they are packed. Raises Failure."""
    abort.look()
    if time.monotonic() > deadline:
        raise Failure(f"{name} was not packed within backup.limit_s")


class _Packer:
    def __init__(self, tar: tarfile.TarFile, log: Log, name: str, deadline: float) -> None:
        self._tar, self._log, self._name, self._deadline = tar, log, name, deadline
        self.unpacked = self.entries = 0
        # Of files with several names: the first name, and how many are still to come. A new file
        # gets the inode number of one that is deleted meanwhile, but not its size and time.
        self._linked: dict[tuple[int, ...], tuple[str, int]] = {}
        self._left_out, self._first_left_out = 0, ""

    def add(self, entry: Entry) -> None:
        """A file that has disappeared, or is something else by now, is left out."""
        try:
            self._add(entry)
        except OSError as error:
            if error.errno == errno.ENOSPC:
                raise
            raise OSError(error.errno, error.strerror, entry.path) from error

    def _add(self, entry: Entry) -> None:
        self.require_time()
        _require_short(entry.path)
        if entry.is_file:
            self._add_file(entry)
        elif entry.is_directory:
            self._write(member.member(entry.path, entry.state, _xattrs(entry)))
        elif entry.is_link:
            self._add_link(entry)
        else:
            self._leave_out(entry)

    def end(self) -> None:
        if self._left_out:
            self._log.write(
                f"{self._name}: {self._left_out} sockets, pipes or devices are not packed, "
                f"such as {shown(self._first_left_out)}"
            )

    def require_time(self) -> None:
        require_time(self._name, self._deadline)

    def _leave_out(self, entry: Entry) -> None:
        self._left_out += 1
        self._first_left_out = self._first_left_out or entry.path

    def _add_file(self, entry: Entry) -> None:
        try:
            opened = entry.parent.read(entry.name)
        except FileNotFoundError:
            return
        except OSError as error:
            if error.errno not in NO_FILE:
                raise
            self._leave_out(entry)
            return
        with opened as file:
            # Of the file that was opened: another one may have its name by now.
            state = os.fstat(file.fileno())
            if not self._add_hard_link(entry.path, state):
                self._add_content(entry.path, file, state)

    def _add_hard_link(self, path: str, state: os.stat_result) -> bool:
        if state.st_nlink < 2:
            return False
        key = (state.st_dev, state.st_ino, state.st_size, state.st_mtime_ns)
        if key not in self._linked and len(self._linked) >= MOST_LINKED:
            return False
        first, left = self._linked.pop(key, ("", state.st_nlink))
        if left > 1:
            self._linked[key] = (first or path, left - 1)
        if not first:
            return False
        info = member.member(path, state, {})
        info.type, info.linkname, info.size = tarfile.LNKTYPE, first, 0
        self._write(info)
        return True

    def _add_content(self, path: str, file: BinaryIO, state: os.stat_result) -> None:
        pieces = member.find_pieces(file, state)
        info = member.member(path, state, member.read_xattrs(file.fileno()), pieces)
        reader = _Reader(file, pieces, state.st_size, self.require_time)
        self._write(info, reader)
        self.unpacked += state.st_size if pieces is None else sum(size for _, size in pieces)
        if reader.missing:
            self._log.write(
                f"warning: {shown(path)} became shorter while it was read; its end is "
                "filled with zeros"
            )

    def _add_link(self, entry: Entry) -> None:
        try:
            target = os.readlink(entry.name, dir_fd=entry.parent.number)
        except OSError:
            return  # Gone, or no link any more.
        info = member.member(entry.path, entry.state, {})
        info.linkname = target
        self._write(info)

    def _write(self, info: tarfile.TarInfo, reader: _Reader | None = None) -> None:
        self._tar.addfile(info, reader)  # type: ignore[arg-type]
        # It keeps them for its own list.
        self._tar.members.clear()  # type: ignore[attr-defined]
        self.entries += 1


class _Reader:
    """The content of a file as it is in the archive; zeros if the file has become shorter."""

    def __init__(
        self,
        file: BinaryIO,
        pieces: member.Pieces | None,
        size: int,
        require_time: Callable[[], None],
    ) -> None:
        self._file, self._require_time = file, require_time
        self._map = b"" if pieces is None else member.sparse_map(pieces)
        self._pieces = iter([(0, size)] if pieces is None else pieces)
        self._left = 0
        self.missing = 0

    def read(self, count: int) -> bytes:
        self._require_time()
        content, self._map = self._map[:count], self._map[count:]
        while len(content) < count:
            if not self._left:
                offset, self._left = next(self._pieces)
                self._file.seek(offset)
                continue
            wanted = min(count - len(content), self._left)
            piece = self._file.read(wanted)
            self.missing += wanted - len(piece)
            content += piece.ljust(wanted, b"\0")
            self._left -= wanted
        return content


class _Hashed:
    """A file that is only written, and the hash of what was written."""

    def __init__(self, file: BinaryIO, path: Path) -> None:
        self._file, self._path = file, path
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        require_room(self._path)
        self.digest.update(content)
        return self._file.write(content)

    def flush(self) -> None:
        self._file.flush()


def _xattrs(entry: Entry) -> dict[str, bytes]:
    """Of a directory."""
    if not entry.name:
        return member.read_xattrs(entry.parent.number)
    try:
        return member.read_xattrs(f"/proc/self/fd/{entry.parent.number}/{entry.name}")
    except FileNotFoundError:
        return {}
