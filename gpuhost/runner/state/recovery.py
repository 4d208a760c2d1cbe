"""attempt.json that cannot be read: what was in progress is found in the journals."""

from __future__ import annotations

import os

from gpuhost.runner.contract import RELEASE, ROLLBACK, AppPaths, Operation
from gpuhost.runner.lib.files import keep_copy, remove
from gpuhost.runner.plan import BadPlan, load
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.releases import in_order


def recover(app: AppPaths) -> None:
    """Replace a damaged attempt.json. A restore is found by its own state."""
    if not os.path.lexists(app.attempt) or operations.begun(app):
        return
    operation = _newest_without_result(app)
    # Until it is replaced it stays: without it the next runner would know of no release.
    keep_copy(app.attempt)
    if operation:
        operations.begin(app, operation)
    else:
        remove(app.attempt)


def _newest_without_result(app: AppPaths) -> Operation | None:
    """The last release, if it has begun and not ended."""
    began = [id_ for id_ in in_order(app) if app.release(id_).journal.exists()]
    if not began or results.read(app.release(began[-1]).result):
        return None
    paths = app.release(began[-1])
    started = Journal(paths.journal).started
    try:
        plan = load(paths.plan)
    except BadPlan:
        return Operation(RELEASE, began[-1], "", started)
    return Operation(ROLLBACK if plan.rollback_of else RELEASE, plan.id, plan.by, started)
