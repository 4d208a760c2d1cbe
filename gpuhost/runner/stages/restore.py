"""Restores an app's data from a backup; if the app does not work with it, undoes the restore.

The previous data is moved to backups/before-restore-TIME and never removed by gpuhost. After an
interruption the same call finishes or undoes the restore.
"""

from __future__ import annotations

import time

from gpuhost.runner.contract import (
    FAILED,
    RESTORE,
    RESTORE_FAILED,
    AppPaths,
    Operation,
    ReleasePaths,
    Result,
)
from gpuhost.runner.data import stored
from gpuhost.runner.data.stored import Stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import remove
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages.engine import as_failure, best_effort, run_or_restore
from gpuhost.runner.stages.restore_leftovers import end_restore, set_restore_aside
from gpuhost.runner.stages.restore_stages import Restore, keep_previous, restore_result
from gpuhost.runner.stages.restore_state import (
    DONE,
    STAGING,
    UNDO_DONE,
    State,
    new_state,
    read_state,
)
from gpuhost.runner.stages.unfinished import end_left_restore
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.release import Release


def paths(app: AppPaths, name: str) -> ReleasePaths:
    """Log and result.json of a restore: in the directory of its backup."""
    return ReleasePaths(app.backups / name)


def restore(app: AppPaths, name: str, by: str) -> Result:
    """Replace the present data with that of a backup. Stores the result; never raises Failure.

    The app is stopped meanwhile, except its PostgreSQL servers.

    + name: the backup's
    + by: who started the restore
    """
    begun = operations.begun(app)
    operation = Operation(RESTORE, name, by, begun.started if begun else time.time())
    result = results.ended(app, operation)
    if result is None:
        result = _run(app, operation)
        results.store(app, result)
    state = read_state(app)
    if state and state.backup == name and result.state != RESTORE_FAILED:
        # If this fails, the next verb tries it again, and is refused until then.
        with best_effort(Log(paths(app, name).log), "what the restore left is not tidied up"):
            end_restore(app, state)
    return result


def end_ended(app: AppPaths) -> None:
    """Tidy up after a restore that has ended: its state would pass for one that goes on.

    Raises Failure.
    """
    state = read_state(app)
    if state and state.step in (DONE, UNDO_DONE):
        end_restore(app, state)


def refuse(app: AppPaths, operation: Operation, failure: Failure) -> Result:
    """Store the result of a restore that does not begin."""
    result = _failed(app, operation, failure, FAILED)
    results.store(app, result)
    return result


def _failed(app: AppPaths, operation: Operation, failure: Failure, state: str) -> Result:
    if paths(app, operation.id).home.is_dir():
        Log(paths(app, operation.id).log).write(f"FAILED: {failure.said}")
    details = {"said": failure.said, "output": failure.output, "fix": failure.fix}
    return restore_result(operation, app, state, **details)


def _run(app: AppPaths, operation: Operation) -> Result:
    # One of this backup that had ended is not there any more: `end_ended`.
    state = read_state(app)
    if state and state.backup != operation.id:
        state = None
    try:
        work = _open(app, operation, state)
    except (Failure, BadPlan) as error:
        is_begun = state is not None and state.step != STAGING
        return _failed(app, operation, as_failure(error), RESTORE_FAILED if is_begun else FAILED)
    result = run_or_restore(work)
    if result.verified:
        keep_previous(work)
    return result


def _open(app: AppPaths, operation: Operation, state: State | None) -> Restore:
    """Raises Failure or BadPlan."""
    name = operation.id
    if state and state.manifest and state.step != STAGING:
        # It is finished or undone even if the backup has been deleted.
        backup = Stored(app.backups / name, state.manifest)
    else:
        backup = stored.find(app, name)
    end_left_restore(app, RESTORE, name)
    home = paths(app, name)
    home.home.mkdir(mode=0o700, exist_ok=True)
    if state is None:
        set_restore_aside(app)
        remove(home.result)
        remove(home.log)
    release = Release.open_current(app, Log(home.log))
    if release is None:
        raise Failure(
            f"{app.home.name} has no verified release to restore data for",
            fix="release it first, then restore",
        )
    return Restore(operation, release, backup, state or new_state(app, backup))
