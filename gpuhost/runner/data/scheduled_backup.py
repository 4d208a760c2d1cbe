"""The scheduled backup: it waits until no other operation runs on the app."""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.backup import backup
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import make_directory, remove
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.lock import Locked, lock
from gpuhost.runner.state.operations import unfinished
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id

PAUSE = 5.0


def run_scheduled(app: AppPaths, settle: Callable[[], None] = lambda: None) -> str:
    """Back up the current release as soon as no operation is in progress or interrupted.

    + settle: called with the lock; raises Failure if what a restore left prevents a backup

    Returns the name of the backup. Raises Failure, or Locked after plan.backup.limit_s.
    """
    current = current_id(app)
    if not current:
        raise Failure(f"{app.home.name} has no verified release: there is nothing to back up")
    make_directory(app.backups, 0o700)
    path = app.backups / "last.log"
    remove(path)
    log = Log(path)
    declared = Release.open(app, current, log).plan.backup
    if declared is None:
        raise Failure(f"{app.home.name} declares no backup", fix="declare x-gpuhost.backup")
    return _wait_and_back_up(app, log, declared.limit_s, settle)


def _wait_and_back_up(app: AppPaths, log: Log, seconds: float, settle: Callable[[], None]) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with _lock_if_idle(app, settle):
                # Opened again: a release may have ended meanwhile.
                return backup(Release.open(app, current_id(app), log), "schedule")
        except Locked as other:
            if time.monotonic() > deadline:
                log.write(f"no backup was made: still in progress: {other}")
                raise
        time.sleep(PAUSE)


@contextmanager
def _lock_if_idle(app: AppPaths, settle: Callable[[], None]) -> Iterator[None]:
    """Raises Locked.

    The lock is not even tried if an operation was interrupted: the runner that resumes it needs it.
    """
    _require_idle(app)
    with lock(app):
        settle()
        _require_idle(app)
        yield


def _require_idle(app: AppPaths) -> None:
    if operation := unfinished(app):
        raise Locked(operation)
