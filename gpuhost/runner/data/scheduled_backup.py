"""The scheduled backup: it waits until no other operation runs on the app."""

from __future__ import annotations

import time
from collections.abc import Callable

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.backup import backup
from gpuhost.runner.lib.boot_time import ClockWatch
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import make_directory, remove
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.lock import Locked, lock
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import current_id

PAUSE = 5.0


def run_scheduled(app: AppPaths, end_unfinished: Callable[[], object]) -> str:
    """Back up the current release as soon as no operation is in progress or interrupted.

    + end_unfinished: called with the lock, for what other verbs left; raises Failure if that
      prevents a backup, or Locked if it must be waited for

    Returns the name of the backup. Raises Failure, or Locked after plan.backup.limit_s.
    """
    current = current_id(app)
    if not current:
        raise Failure(f"{app.home.name} has no verified release", fix="release the app first")
    make_directory(app.backups, 0o700)
    path = app.backups / "last.log"
    remove(path)
    log = Log(path)
    declared = Release.open(app, current, log).plan.backup
    if declared is None:
        raise Failure(f"{app.home.name} declares no backup", fix="declare x-gpuhost.backup")
    clock = ClockWatch(log)
    try:
        return _wait_and_back_up(app, log, declared.limit_s, end_unfinished)
    except Failure as failure:
        log.write("no backup was made: " + "\n".join(failure.lines))
        raise
    finally:
        clock.tell()


def _wait_and_back_up(
    app: AppPaths, log: Log, seconds: float, end_unfinished: Callable[[], object]
) -> str:
    deadline = time.monotonic() + seconds
    while True:
        try:
            with lock(app):
                end_unfinished()
                # Opened again: a release may have ended meanwhile.
                return backup(Release.open(app, current_id(app), log), "schedule")
        except Locked as other:
            if time.monotonic() > deadline:
                log.write("\n".join(other.no_backup))
                raise
        time.sleep(PAUSE)
