"""Files on this machine that others read: whole at every moment, or not there."""

from __future__ import annotations

import os
import tempfile
from pathlib import Path


def replace(path: Path, text: str, *, mode: int) -> None:
    """Write a file beside the old one, then put it in its place. Raises OSError.

    + mode: of the new file, whatever the process's umask
    """
    if _is_no_file(path):
        path.write_text(text, encoding="utf-8", errors="replace")
        return
    # The file itself, not a link to it.
    target = path.resolve()
    handle, beside = tempfile.mkstemp(dir=target.parent, prefix=f".{target.name}.", suffix=".new")
    try:
        with os.fdopen(handle, "w", encoding="utf-8", errors="replace") as file:
            os.fchmod(handle, mode)
            file.write(text)
        Path(beside).replace(target)
    except BaseException:
        Path(beside).unlink(missing_ok=True)
        raise


def obstacle(path: Path) -> str:
    """Why `replace` could not write this file, in words; "": it could."""
    if path.is_dir():
        return "is a directory"
    if _is_no_file(path):
        return "" if os.access(path, os.W_OK) else "cannot be written"
    return obstacle_in(path.resolve().parent)


def obstacle_in(directory: Path) -> str:
    """Why no file could be written in this directory; "": one could."""
    if not directory.is_dir():
        return f"no such directory: {directory}"
    try:
        # The one answer that holds for root, read-only file systems and quotas too.
        with tempfile.TemporaryFile(dir=directory):
            return ""
    except OSError as error:
        return f"cannot write in {directory}: {error.strerror or error}"


def _is_no_file(path: Path) -> bool:
    """A pipe or a device, /dev/null: a file in its place would be the end of it."""
    return path.exists() and not path.is_file()
