"""Reads gpuhost's own files, which may be damaged: neither a pipe nor a large file may stop it."""

from __future__ import annotations

import errno
import json
import os
import stat
from pathlib import Path
from typing import Any

# Bytes: the largest is a resolved Compose model.
LARGEST_STATE = 32 << 20
# A link to itself, a directory, a socket or a device without a driver, where a file should be.
NO_FILE = (errno.ELOOP, errno.EISDIR, errno.ENXIO, errno.ENODEV)
NOT_THERE = (FileNotFoundError, NotADirectoryError)


def read_state(path: Path) -> bytes:
    """Raises OSError, or ValueError if it is no regular file, or a larger one than gpuhost writes.

    It follows links: only for paths in which root alone can write.
    """
    try:
        # Before it is opened: opening a watchdog starts it.
        if not stat.S_ISREG(path.stat().st_mode):
            raise ValueError("not a regular file")
        with os.fdopen(os.open(path, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC), "rb") as file:
            content = file.read(LARGEST_STATE + 1)
    except OSError as error:
        if error.errno in NO_FILE:
            raise ValueError(error.strerror) from error
        raise
    if len(content) > LARGEST_STATE:
        raise ValueError(f"larger than {LARGEST_STATE >> 20} MiB")
    return content


def read_text(path: Path) -> str:
    """Raises OSError, or ValueError if the file is damaged."""
    return read_state(path).decode("utf-8")


def load_json(path: Path) -> dict[str, Any]:
    """The object in a file. Raises OSError, or ValueError if the file is damaged."""
    try:
        value = json.loads(read_text(path))
    except RecursionError:
        raise ValueError("its JSON is nested too deeply") from None
    if not isinstance(value, dict):
        raise ValueError("not a JSON object")
    return value
