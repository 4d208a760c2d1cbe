"""Carries out an operation on an app, after what other verbs left unfinished."""

from __future__ import annotations

import time

from gpuhost.runner.contract import (
    RELEASE,
    REMOVE,
    RESTORE,
    RESTORE_FAILED,
    ROLLBACK,
    VERIFIED,
    AppPaths,
    Operation,
    Result,
)
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import restore as restore_stages
from gpuhost.runner.stages.abandon import DAMAGED, abandon
from gpuhost.runner.stages.engine import MAX_STARTS
from gpuhost.runner.stages.transaction import keep, refuse, run_transaction
from gpuhost.runner.stages.unfinished import cut, left_by_restore, settle_restore
from gpuhost.runner.state import abort_request, results, transitions
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.operations import begin, end, unfinished
from gpuhost.runner.state.recovery import recover
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import next_number
from gpuhost.runner.state.transitions import RESTORE_UNREADABLE

# Exit statuses after which systemd does not restart the runner.
GOOD, FAILED, USAGE, UNRESTORED, LOCKED = 0, 1, 2, 3, 4


def run_new(app: AppPaths, verb: str, id: str, log: Log | None = None) -> int:
    """Run or continue a release or a rollback, after what was left unfinished.

    + log: of the release
    """
    try:
        aborted_by = settle(app, verb, id, log)
        release = Release.open(app, id)
    except Failure as failure:
        release = Release.open(app, id)
        return _exit_status(refuse(release, failure))
    kind = ROLLBACK if release.plan.rollback_of else RELEASE
    return _run_transaction(release, kind, aborted_by)


def _run_transaction(release: Release, kind: str, aborted_by: str = "") -> int:
    """+ aborted_by: who has aborted this one before it began; "": nobody"""
    result = results.read(release.paths.result)
    if result is None:
        operation = begin_operation(release.app, kind, release.plan.id, release.plan.by, aborted_by)
        if not release.record.sequence:
            release.remember(sequence=next_number(release.app))
        try:
            result = run_transaction(release)
        except DAMAGED as error:
            # A damaged plan of the previous release stays damaged; other errors may be temporary.
            is_last = Journal(release.paths.journal).starts > MAX_STARTS
            if not is_last and not isinstance(error, BadPlan):
                raise
            result = abandon(release.app, operation, error)
    elif result.verified and unfinished(release.app):
        # The runner was interrupted after the result, before `keep` had ended.
        keep(release)
    end(release.app)
    return _exit_status(result)


def begin_operation(app: AppPaths, kind: str, id: str, by: str, aborted_by: str) -> Operation:
    """Note the start of an operation; an interrupted one continues, with the time of its start."""
    operation = unfinished(app)
    if operation is None or (operation.kind, operation.id) != (kind, id):
        operation = Operation(kind, id, by, time.time())
        begin(app, operation)
    if aborted_by:
        abort_request.request(app, aborted_by)
    return operation


def settle(app: AppPaths, verb: str, own_id: str, log: Log | None = None) -> str:
    """Do what transitions.py says with what other verbs left unfinished.

    + own_id: of the verb's own release or backup: it continues
    + log: of the verb

    Returns who has aborted it meanwhile: the verb is aborted too; "": nobody.

    Raises Failure, with the next step, if the verb is refused.
    """
    aborted_by = settle_operation(app, verb, own_id, log)
    operation = unfinished(app)
    if operation is None or operation.id != own_id:
        settle_restore(app, verb, own_id)
    return aborted_by


def settle_operation(app: AppPaths, verb: str, own_id: str, log: Log | None = None) -> str:
    recover(app)
    operation = unfinished(app)
    left = left_by_restore(app)
    if operation and operation.kind == RESTORE and left and left.state == RESTORE_UNREADABLE:
        abandon(app, operation, f"{app.restoring} cannot be read")
        end(app)
        return ""
    if operation is None or operation.id == own_id:
        return ""
    if cut(operation).require(app, verb, own_id).do == transitions.GO_ON:
        return ""
    if operation.kind == REMOVE:
        if verb == transitions.RELEASE:
            end(app)
        return ""
    was_aborted = abort_request.requested_by(app)
    if log:
        log.stage(f"first the interrupted {operation.kind}")
        what = "undoing" if was_aborted else "finishing or undoing"
        log.write(f"{what} {operation.sentence}; its log: {app.operation(operation.id).log}")
    _resume(app, operation)
    result = results.read(app.operation(operation.id).result)
    return result.aborted_by if result and not was_aborted else ""


def _resume(app: AppPaths, operation: Operation) -> None:
    if operation.kind == RESTORE:
        run_restore(app, operation.id, operation.by)
        return
    try:
        release = Release.open(app, operation.id)
    except DAMAGED as error:
        abandon(app, operation, error)
        end(app)
        return
    _run_transaction(release, operation.kind)


def run_restore(app: AppPaths, name: str, by: str, aborted_by: str = "") -> int:
    # An interrupted restore continues: a new start would overwrite newer data.
    begin_operation(app, RESTORE, name, by, aborted_by)
    result = restore_stages.restore(app, name, by)
    end(app)
    return _exit_status(result)


def _exit_status(result: Result) -> int:
    return {VERIFIED: GOOD, RESTORE_FAILED: UNRESTORED}.get(result.state, FAILED)


def settle_for_backup(app: AppPaths) -> None:
    recover(app)
    if unfinished(app) is None:
        settle_restore(app, transitions.BACKUP)
