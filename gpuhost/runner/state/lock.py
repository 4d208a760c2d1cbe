"""The lock of an app: one operation at a time. The kernel releases it when its process ends."""

from __future__ import annotations

import fcntl
import os
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import make_directory, move_aside
from gpuhost.runner.state.operations import begun

# A runner waits this long for a backup, which has the lock and is not an operation.
PATIENCE_S = 600.0
# A backup that finds an operation releases the lock within this time, a mere look much sooner.
LOOK_S = 1.0
PAUSE = 0.2


class Locked(Exception):
    """Another operation has the lock."""

    said = "still in progress"
    fix = ""

    def __init__(self, holder: Operation | None) -> None:
        super().__init__(holder.sentence if holder else "a backup or a removal")
        self.holder = holder

    @property
    def no_backup(self) -> tuple[str, ...]:
        """For the person who reads of a backup that it prevented."""
        return Failure(f"no backup was made: {self.said}: {self}", fix=self.fix).lines


class Interrupted(Locked):
    """Another operation was interrupted, and must end first. + fix: how it does"""

    said = "interrupted, and not continued"

    def __init__(self, holder: Operation, fix: str) -> None:
        super().__init__(holder)
        self.fix = fix


@contextmanager
def lock(
    app: AppPaths, *, patience: float = 0.0, waits: Callable[[], object] = lambda: None
) -> Iterator[None]:
    """Hold the app's lock.

    + patience: seconds to wait for a backup; it does not wait for an operation
    + waits: called once, when the wait begins

    Raises Locked, or Failure if there can be no lock.
    """
    make_directory(app.home)
    began = time.monotonic()
    with _opened(app.lock) as file:
        is_waiting = False
        while not _try_lock(file):
            holder = begun(app)
            if time.monotonic() - began >= (LOOK_S if holder else max(patience, LOOK_S)):
                raise Locked(holder)
            if not holder and not is_waiting:
                waits()
                is_waiting = True
            time.sleep(PAUSE)
        yield


@contextmanager
def _opened(path: Path) -> Iterator[int]:
    """The file of the lock, for root only: whoever can open it can hold the lock.

    What else is in its place is not set aside: another process may just have done that.
    """
    if os.path.lexists(path) and not path.is_file():
        raise Failure(f"{path} is not a file", fix=move_aside(path))
    file = os.open(path, os.O_WRONLY | os.O_CREAT | os.O_NONBLOCK | os.O_CLOEXEC, 0o600)
    try:
        os.fchmod(file, 0o600)
        yield file
    finally:
        os.close(file)


def _try_lock(file: int, kind: int = fcntl.LOCK_EX) -> bool:
    try:
        fcntl.flock(file, kind | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    return True


def is_locked(app: AppPaths) -> bool:
    """Whether a process holds the lock. It is held for this moment only: `lock` tries again.

    /proc/locks tells it too, but a container may fill that with its own.
    """
    try:
        file = os.open(app.lock, os.O_RDONLY | os.O_NONBLOCK | os.O_CLOEXEC)
    except OSError:
        return False
    try:
        return not _try_lock(file, fcntl.LOCK_SH)
    finally:
        os.close(file)
