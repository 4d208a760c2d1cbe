"""Files on this machine that others read: whole at every moment, or not there."""

from __future__ import annotations

import errno
import os
import select
import stat
import tempfile
from pathlib import Path

# Of the name of a file that is being written: with what mkstemp adds it has to be a name still.
SHOWN = 40
# Who reads a pipe and stops for that long does not come back.
PATIENCE_S = 20
# Nothing, or an ordinary file.
FILES = (0, stat.S_IFREG)


def replace(path: Path, text: str, *, mode: int) -> None:
    """Write a file beside the old one, then put it in its place. Raises OSError.

    + mode: of the new file, whatever the process's umask
    """
    if _is_no_file(path):
        _pour(path, text.encode("utf-8", "replace"))
        return
    # The file itself, not a link to it.
    target = path.resolve()
    prefix = f".{target.name[:SHOWN]}."
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            os.fchmod(handle, mode)
            file.write(text)
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def obstacle(path: Path) -> str:
    """Why `replace` could not write this file, in words; "": it could.

    A pipe is not opened for that: its reader would see its end.
    """
    try:
        if (kind := _kind(path)) == stat.S_IFDIR:
            return "is a directory"
        if kind not in FILES:
            return "" if os.access(path, os.W_OK) else "cannot be written"
        return obstacle_in(path.resolve().parent)
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"


def obstacle_in(directory: Path) -> str:
    """Why no file could be written in this directory; "": one could."""
    try:
        if _kind(directory) != stat.S_IFDIR:
            return f"no such directory: {directory}"
        # The one answer that holds for root, read-only file systems and quotas too.
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return f"cannot write in {directory}: {error.strerror or error}"


def _is_no_file(path: Path) -> bool:
    """A pipe or a device, /dev/null: a file in its place would be the end of it. Raises OSError."""
    return _kind(path) not in FILES


def _kind(path: Path) -> int:
    """What is there, as S_IFMT has it; 0: nothing. Raises OSError, for a circle of links too."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _pour(path: Path, text: bytes) -> None:
    """Write into what is no file. Raises OSError; a pipe that nobody reads holds nobody up."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(errno.ENXIO, "nobody reads it") from error
    try:
        while text:
            text = text[_written(handle, text) :]
    finally:
        os.close(handle)


def _written(handle: int, text: bytes) -> int:
    try:
        return os.write(handle, text)
    except BlockingIOError:
        if select.select([], [handle], [], PATIENCE_S)[1]:
            return 0
        raise OSError(errno.ETIMEDOUT, f"nobody has read it for {PATIENCE_S} s") from None
