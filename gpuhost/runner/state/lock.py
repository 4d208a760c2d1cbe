"""One operation at a time for an app. The kernel releases the lock, however its holder ends."""

from __future__ import annotations

import fcntl
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.state.operations import unfinished

LOCKS = Path("/proc/locks")
# So long a runner waits for a backup to end: it holds the lock, and is not an operation.
PATIENCE_S = 600.0
# A backup that meets an operation releases the lock within this.
LOOK_S = 1.0
PAUSE = 0.2


class Locked(Exception):
    """Another operation holds the app, or was cut off and has not ended."""

    def __init__(self, holder: Operation | None, otherwise: str = "a backup, or a removal") -> None:
        super().__init__(holder.sentence if holder else otherwise)
        self.holder = holder


@contextmanager
def lock(
    app: AppPaths, *, patience: float = 0.0, waits: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the app's lock.

    + patience: how long it waits for a backup; it does not wait for an operation
    + waits: called once, before that

    Raises Locked with whoever holds it.
    """
    app.home.mkdir(parents=True, exist_ok=True)
    began = time.monotonic()
    with app.lock.open("a") as file:
        is_told = False
        while not _try_lock(file):
            holder = unfinished(app)
            if time.monotonic() - began >= (LOOK_S if holder else patience):
                raise Locked(holder)
            if not holder and not is_told:
                waits()
                is_told = True
            time.sleep(PAUSE)
        yield


def _try_lock(file: IO[str]) -> bool:
    try:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(app: AppPaths) -> bool:
    """Whether it is held; trying to take it would block an operation that begins now."""
    try:
        inode = str(app.lock.stat().st_ino)
    except FileNotFoundError:
        return False
    # 1: FLOCK  ADVISORY  WRITE 4711 fd:01:131085 0 EOF
    held = (line.split() for line in LOCKS.read_text(encoding="ascii").splitlines())
    return any(
        words[1:2] == ["FLOCK"] and words[5:6] and words[5].rpartition(":")[2] == inode
        for words in held
    )
