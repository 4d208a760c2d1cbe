"""Writes files atomically: after a power cut they are complete or missing."""

from __future__ import annotations

import errno
import json
import os
from collections.abc import Iterator, Mapping
from contextlib import suppress
from pathlib import Path
from shlex import quote
from typing import Any, BinaryIO

from gpuhost.runner.contract import NOT_THERE
from gpuhost.runner.contract import load_json as load_json
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure

PIECE = 1 << 20


def write(path: Path, text: str, *, mode: int = 0o644) -> None:
    """Write a temporary file, sync it, and rename it; it never has a wider mode than `mode`."""
    temporary = path.with_name(f".{path.name}.new")
    remove(temporary)
    handle = os.open(temporary, os.O_WRONLY | os.O_CREAT | os.O_EXCL, mode)
    # In JSON, \ud800 of an app's answer stays what it is.
    with os.fdopen(handle, "w", encoding="utf-8", errors="backslashreplace") as file:
        os.fchmod(file.fileno(), mode)
        file.write(text)
        file.flush()
        os.fsync(file.fileno())
    if _is_directory(path):
        set_aside(path)
    temporary.rename(path)
    sync_directory(path.parent)


def keep(path: Path, text: str, *, mode: int) -> None:
    """Write the file unless it has this text and mode already."""
    if not holds(path, text, mode=mode):
        write(path, text, mode=mode)


def holds(path: Path, text: str, *, mode: int) -> bool:
    """Whether the path is a regular file, not a link, with this text and mode."""
    if path.is_symlink() or not path.is_file():
        return False
    return path.stat().st_mode & 0o7777 == mode and path.read_bytes() == text.encode()


def write_json(path: Path, value: Mapping[str, object], *, mode: int = 0o644) -> None:
    # Without escapes, so that a YAML parser reads it too.
    write(path, json.dumps(value, indent=1, sort_keys=True, ensure_ascii=False) + "\n", mode=mode)


def read_json(path: Path) -> dict[str, Any]:
    """The object in a file; {} if it is missing or damaged."""
    try:
        return load_json(path)
    except (OSError, ValueError):
        return {}


def read_state_json(path: Path) -> dict[str, Any]:
    """As `read_json`, for what decides what an operation does next.

    Raises OSError: a read error may be temporary, and the file is not damaged.
    """
    try:
        return load_json(path)
    except (*NOT_THERE, ValueError):
        return {}


# Bytes of a file that grows by lines: years of releases.
LARGEST = 8 << 20
# Lines that are kept of it, however long.
LEAST_LINES = 20


def append(path: Path, line: str) -> None:
    """Append a line and sync it, or nothing.

    Of a file that has grown large the newer half is kept, and the last lines, however long.

    A line without its end is of a write that a power cut ended: the next one takes its place.
    """
    if path.exists() and path.stat().st_size > LARGEST:
        _halve(path)
    # A pipe in its place would block.
    flags = os.O_RDWR | os.O_CREAT | os.O_APPEND | os.O_NONBLOCK | os.O_CLOEXEC
    # Without a buffer: it would be written once more when the file is closed.
    with os.fdopen(os.open(path, flags, 0o644), "r+b", buffering=0) as file:
        end = _end_of_lines(file.fileno())
        file.truncate(end)
        try:
            _write_all(file.fileno(), f"{line}\n".encode("utf-8", "backslashreplace"))
            os.fsync(file.fileno())
        except OSError:
            with suppress(OSError):
                file.truncate(end)
            raise


def _end_of_lines(number: int) -> int:
    size = os.fstat(number).st_size
    if not size or os.pread(number, 1, size - 1) == b"\n":
        return size
    return os.pread(number, size, 0).rfind(b"\n") + 1


def _write_all(number: int, content: bytes) -> None:
    while content:
        content = content[os.write(number, content) :]


def _halve(path: Path) -> None:
    kept: list[bytes] = []
    size = 0
    with path.open("rb") as file:
        lines = file.read().split(b"\n")
    for line in reversed(lines):
        size += len(line) + 1
        if size > LARGEST // 2 and len(kept) > LEAST_LINES:
            break
        kept.append(line)
    write(path, b"\n".join(reversed(kept)).decode("utf-8", "replace"))


def pieces(file: BinaryIO) -> Iterator[bytes]:
    """The content of a large file. Raises Aborted, or OSError."""
    while piece := file.read(PIECE):
        abort.look()
        yield piece


def data_pieces(number: int, end: int) -> Iterator[tuple[int, bytes]]:
    """What a file has before `end`, with the offsets. Holes, of any size, take no time.

    Not by a file object: its buffer would read on into what an app appends.

    + number: of the open file

    Raises Aborted, or OSError.
    """
    offset = 0
    while (offset := _next(os.SEEK_DATA, number, offset, end)) < end:
        hole = _next(os.SEEK_HOLE, number, offset, end)
        while offset < hole:
            abort.look()
            piece = os.pread(number, min(PIECE, hole - offset), offset)
            if not piece:
                return
            yield offset, piece
            offset += len(piece)


def _next(what: int, number: int, offset: int, end: int) -> int:
    """Where data or a hole begins, or the end."""
    try:
        return min(os.lseek(number, offset, what), end)
    except OSError as error:
        if error.errno == errno.ENXIO:
            return end
        raise


def set_aside(path: Path) -> Path:
    """Rename what is damaged, or of unknown use, so that it is neither used nor lost.

    Returns the new path.
    """
    target = damaged_path(path)
    path.rename(target)
    sync_directory(path.parent)
    return target


def keep_copy(path: Path) -> None:
    """As `set_aside`, but the path stays. A directory has no second name: what replaces it sets it
    aside.
    """
    if not _is_directory(path):
        os.link(path, damaged_path(path), follow_symlinks=False)


def damaged_path(path: Path) -> Path:
    """Where `set_aside` would move it: no file has this name yet."""
    target, number = path.with_name(f"{path.name}.damaged"), 1
    while os.path.lexists(target):
        number += 1
        target = path.with_name(f"{path.name}.damaged.{number}")
    return target


def move_aside(path: Path) -> str:
    """The command for a person that does as `set_aside`. It overwrites nothing."""
    return f"mv {quote(str(path))} {quote(str(damaged_path(path)))}"


def make_way(path: Path) -> None:
    """Set aside what is no regular file."""
    if os.path.lexists(path) and not path.is_file():
        set_aside(path)


def make_directory(path: Path, mode: int = 0o755) -> None:
    """Create a directory, unless it exists. Raises Failure if something else is in its place."""
    try:
        path.mkdir(mode, parents=True, exist_ok=True)
    except (FileExistsError, NotADirectoryError):
        raise Failure(
            f"{path} is not a directory",
            fix=f"if it is a link, mount the disk that it leads to; else {move_aside(path)}",
        ) from None


def point(link: Path, target: str) -> None:
    """Create or change a symbolic link atomically. A directory in its place is set aside."""
    if _is_directory(link):
        set_aside(link)
    temporary = link.with_name(f".{link.name}.new")
    remove(temporary)
    temporary.symlink_to(target)
    temporary.rename(link)
    sync_directory(link.parent)


def clear(path: Path) -> None:
    """Delete a file or a tree, if it exists, in a directory where only root can write.

    A container may have made a tree of any depth.
    """
    with suppress(FileNotFoundError), DirectoryHandle.open(path.parent) as handle:
        handle.remove(path.name)


def remove(path: Path) -> None:
    """Delete a file, if it exists. A directory in its place is set aside."""
    if _is_directory(path):
        set_aside(path)
    else:
        path.unlink(missing_ok=True)


def _is_directory(path: Path) -> bool:
    return path.is_dir() and not path.is_symlink()


def sync_directory(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY | os.O_DIRECTORY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
