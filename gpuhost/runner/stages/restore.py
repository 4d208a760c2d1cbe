"""Restores an app's data from a backup; if the app does not work with it, undoes the restore.

The previous data is moved to backups/before-restore-TIME and never removed by gpuhost. After an
interruption the same call finishes or undoes the restore.
"""

from __future__ import annotations

import time
from dataclasses import asdict

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
from gpuhost.runner.lib.files import remove, write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages.engine import as_failure, run_or_restore
from gpuhost.runner.stages.restore_leftovers import keep_unread, settle
from gpuhost.runner.stages.restore_stages import Restore, keep, restore_result
from gpuhost.runner.stages.restore_state import STAGING, State, new_state, read_state
from gpuhost.runner.stages.unfinished import settle_restore
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
    unfinished = operations.unfinished(app)
    began = unfinished.started if unfinished else time.time()
    home = paths(app, name)
    result = results.read(home.result)
    # With a result of the same start, the runner was interrupted after the end.
    if not (result and unfinished and result.started == began):
        result = _run(app, Operation(RESTORE, name, by, began))
        results.audit(app, result)
        if home.home.is_dir():
            write_json(home.result, asdict(result))
    state = read_state(app)
    if state and state.backup == name and result.state != RESTORE_FAILED:
        settle(app, state)
    return result


def _run(app: AppPaths, operation: Operation) -> Result:
    name, state = operation.id, read_state(app)
    is_begun = state is not None and state.backup == name and state.step != STAGING
    try:
        work = _open(app, operation, state)
    except (Failure, BadPlan) as error:
        failure = as_failure(error)
        Log(paths(app, name).log).write(f"FAILED: {failure.said}")
        details = {"said": failure.said, "output": failure.output, "fix": failure.fix}
        return restore_result(operation, app, RESTORE_FAILED if is_begun else FAILED, **details)
    result = run_or_restore(work)
    if result.verified:
        keep(work)
    return result


def _open(app: AppPaths, operation: Operation, state: State | None) -> Restore:
    """Raises Failure or BadPlan."""
    name = operation.id
    if state is None or state.backup != name:
        stored.find(app, name)
        settle_restore(app, RESTORE, name)
        state = None
    is_begun = state is not None and state.step != STAGING
    if state and state.manifest and is_begun:
        # It is finished or undone even if the backup has been deleted.
        backup = Stored(app.backups / name, state.manifest)
    else:
        backup = stored.find(app, name)
    home = paths(app, name)
    home.home.mkdir(mode=0o700, exist_ok=True)
    if state is None:
        keep_unread(app)
        remove(home.result)
        remove(home.log)
    release = Release.open_current(app, Log(home.log))
    if release is None:
        raise Failure(
            f"{app.home.name} has no verified release to restore data for",
            fix="release it first, then restore",
        )
    return Restore(
        operation, release, backup, state if state and is_begun else new_state(app, backup)
    )
