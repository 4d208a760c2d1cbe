"""One run at a time: two runs at the same time would both report the same changes."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

# Longer than a run holds the lock: its notifications have a limit of 30 s.
PATIENCE_S = 120
STEP_S = 0.1


@contextmanager
def run_lock(
    directory: Path, log: Callable[[str], None], seconds: float = PATIENCE_S
) -> Iterator[None]:
    """Hold the lock of a directory. The kernel releases it if the process dies.

    + log: called with a line when it starts to wait, and when it stops waiting
    + seconds: how long to wait; then it continues without the lock: changes may be reported twice
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
            log(f"the other run has not ended after {seconds:g} s: continuing without the lock")
            return
        time.sleep(STEP_S)


def _try_lock(handle: int) -> bool:
    with suppress(BlockingIOError):
        fcntl.flock(handle, fcntl.LOCK_EX | fcntl.LOCK_NB)
        return True
    return False
