"""One run at a time: two that end together would both tell of the same."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# More than a run takes for it: to tell everybody it has half a minute.
PATIENCE_S = 120
STEP_S = 0.1


@contextmanager
def run_lock(
    directory: Path, told: Callable[[str], None], seconds: float = PATIENCE_S
) -> Iterator[None]:
    """While it lasts, others wait who want theirs in this directory. The kernel ends it with us.

    + told: hears that another one is awaited, and why that is given up
    + seconds: the longest to wait; then it is better told twice than not at all
    """
    handle = None
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        _wait(handle, directory, told, seconds)
    except OSError as error:
        told(f"{directory} cannot be locked against another run: {error.strerror or error}")
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _wait(handle: int, directory: Path, told: Callable[[str], None], seconds: float) -> None:
    """Raises OSError where the file system knows no locks."""
    if _is_ours(handle):
        return
    told(f"another run is awaited, which is at work in {directory}")
    deadline = time.monotonic() + seconds
    while not _is_ours(handle):
        if time.monotonic() > deadline:
            told(f"it is awaited no longer, after {seconds:g} s")
            return
        time.sleep(STEP_S)


def _is_ours(handle: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
