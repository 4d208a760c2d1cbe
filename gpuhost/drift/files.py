"""Write files on this machine; readers never see a half-written file."""

from __future__ import annotations

import errno
import os
import select
import stat
import tempfile
from pathlib import Path

# Characters of the name that the temporary name has: names have a maximum length.
MAX_PREFIX = 40
# How long to wait for the reader of a pipe.
PATIENCE_S = 20
# No file, or a regular file.
FILES = (0, stat.S_IFREG)


def replace(path: Path, text: str, *, mode: int) -> None:
    """Write a temporary file beside the old one and rename it. Raises OSError.

    + mode: of the new file, whatever the umask
    """
    if _is_special(path):
        _write_special(path, text.encode("utf-8", "replace"))
        return
    # A symbolic link stays: its target is replaced.
    target = path.resolve()
    prefix = f".{target.name[:MAX_PREFIX]}."
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=prefix, suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            os.fchmod(handle, mode)
            file.write(text)
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def write_problem(path: Path) -> str:
    """Why `replace` would fail for this file; "": it would succeed.

    A pipe is not opened: its reader would see the end of the file.
    """
    try:
        if (kind := _kind(path)) == stat.S_IFDIR:
            return "is a directory"
        if kind not in FILES:
            return "" if os.access(path, os.W_OK) else "cannot be written"
        return directory_problem(path.resolve().parent)
    except OSError as error:
        return f"cannot be written: {error.strerror or error}"


def directory_problem(directory: Path) -> str:
    """Why no file can be written in this directory; "": it is writable."""
    try:
        if _kind(directory) != stat.S_IFDIR:
            return f"no such directory: {directory}"
        # Try it: permissions alone say nothing about root, read-only file systems and quotas.
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return f"cannot write in {directory}: {error.strerror or error}"


def _is_special(path: Path) -> bool:
    """Whether it is a pipe or a device, which must not be replaced. Raises OSError."""
    return _kind(path) not in FILES


def _kind(path: Path) -> int:
    """The file type, as in S_IFMT; 0: no such file. Raises OSError, for a loop of links too."""
    try:
        return stat.S_IFMT(path.stat().st_mode)
    except (FileNotFoundError, NotADirectoryError):
        return 0


def _write_special(path: Path, text: bytes) -> None:
    """Write to a pipe or a device. Raises OSError; a pipe without a reader does not block."""
    try:
        handle = os.open(path, os.O_WRONLY | os.O_NONBLOCK | os.O_NOCTTY)
    except OSError as error:
        if error.errno != errno.ENXIO:
            raise
        raise OSError(errno.ENXIO, "no process reads it") from error
    try:
        while text:
            text = text[_write_some(handle, text) :]
    finally:
        os.close(handle)


def _write_some(handle: int, text: bytes) -> int:
    try:
        return os.write(handle, text)
    except BlockingIOError:
        if select.select([], [handle], [], PATIENCE_S)[1]:
            return 0
        raise OSError(errno.ETIMEDOUT, f"no process has read it for {PATIENCE_S} s") from None
