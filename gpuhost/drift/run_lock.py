"""One run at a time: two runs that end together would both report the same changes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Longer than a run holds the lock: its notifications have half a minute.
PATIENCE_S = 120
STEP_S = 0.1


@contextmanager
def run_lock(
    directory: Path, log: Callable[[str], None], seconds: float = PATIENCE_S
) -> Iterator[None]:
    """Hold the lock of a directory. The kernel releases it if the process dies.

    + log: called with a line if it has to wait, and if it gives up waiting
    + seconds: the longest to wait; then it goes on: better reported twice than not at all
    """
    handle = None
    try:
        handle = os.open(directory, os.O_RDONLY | os.O_DIRECTORY)
        _wait(handle, directory, log, seconds)
    except OSError as error:
        log(f"{directory} cannot be locked: {error.strerror or error}")
    try:
        yield
    finally:
        if handle is not None:
            os.close(handle)


def _wait(handle: int, directory: Path, log: Callable[[str], None], seconds: float) -> None:
    """Raises OSError if the file system has no locks."""
    if _try_lock(handle):
        return
    log(f"waiting for another run that uses {directory}")
    deadline = time.monotonic() + seconds
    while not _try_lock(handle):
        if time.monotonic() > deadline:
            log(f"the other run has not ended after {seconds:g} s: going on without it")
            return
        time.sleep(STEP_S)


def _try_lock(handle: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
