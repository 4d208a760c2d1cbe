"""Carries out an operation on an app, after what other verbs left unfinished."""

from __future__ import annotations

import time
from contextlib import suppress
from enum import IntEnum

from gpuhost.runner.contract import (
    RELEASE,
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
from gpuhost.runner.stages.transaction import follow_up, refuse, run_transaction
from gpuhost.runner.stages.unfinished import end_left_restore, has_damaged_restore, interrupted
from gpuhost.runner.state import abort_request, results
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.lock import Interrupted
from gpuhost.runner.state.operations import begin, begun, end
from gpuhost.runner.state.recovery import recover
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import next_number
from gpuhost.runner.state.transitions import Do, next_step


class Exit(IntEnum):
    """Exit statuses. systemd starts the runner again only after the last one."""

    GOOD = 0
    FAILED = 1
    USAGE = 2
    UNRESTORED = 3
    LOCKED = 4
    # The operation has not ended.
    UNFORESEEN = 5


def run_new(app: AppPaths, verb: str, id: str, log: Log | None = None) -> Exit:
    """Run or continue a release or a rollback, after what was left unfinished.

    + log: of the release
    """
    # What it finishes first deletes old releases: by the number this one is the newest.
    with suppress(*DAMAGED, OSError):
        _take_number(Release.open(app, id))
    try:
        aborted_by = end_unfinished(app, verb, id, log)
        release = Release.open(app, id)
    except Failure as failure:
        release = Release.open(app, id)
        return _exit_status(refuse(release, failure))
    kind = ROLLBACK if release.plan.rollback_of else RELEASE
    return _run_transaction(release, kind, aborted_by)


def _run_transaction(release: Release, kind: str, aborted_by: str = "") -> Exit:
    """+ aborted_by: who has aborted this one before it began; "": nobody"""
    app, id, by = release.app, release.plan.id, release.plan.by
    result = results.ended(app, Operation(kind, id, by, 0))
    if result is None:
        operation = begin_operation(app, kind, id, by, aborted_by)
        _take_number(release)
        try:
            result = run_transaction(release)
        except DAMAGED as error:
            # A damaged plan of the previous release stays damaged; other errors may be temporary.
            is_last = Journal(release.paths.journal).starts > MAX_STARTS
            if not is_last and not isinstance(error, BadPlan):
                raise
            result = abandon(app, operation, error)
    elif result.verified and begun(app):
        # The runner was interrupted after the result, before `follow_up` had ended.
        follow_up(release)
    end(app)
    return _exit_status(result)


def _take_number(release: Release) -> None:
    if not release.record.sequence:
        release.remember(sequence=next_number(release.app))


def begin_operation(app: AppPaths, kind: str, id: str, by: str, aborted_by: str = "") -> Operation:
    """Note the start of an operation; an interrupted one continues, with the time of its start."""
    operation = begun(app)
    if operation is None or (operation.kind, operation.id) != (kind, id):
        operation = Operation(kind, id, by, time.time())
        begin(app, operation)
    if aborted_by:
        abort_request.request(app, operation, aborted_by)
    return operation


def run_restore(app: AppPaths, name: str, by: str) -> Exit:
    """Run or continue a restore, after what was left unfinished.

    + name: of the backup
    """
    try:
        aborted_by = _end_unfinished_operation(app, RESTORE, name)
        if begun(app) is None:
            restore_stages.end_ended(app)
    except Failure as failure:
        operation = Operation(RESTORE, name, by, time.time())
        return _exit_status(restore_stages.refuse(app, operation, failure))
    return _run_restore(app, name, by, aborted_by)


def _run_restore(app: AppPaths, name: str, by: str, aborted_by: str = "") -> Exit:
    # An interrupted restore continues: a new start would overwrite newer data.
    begin_operation(app, RESTORE, name, by, aborted_by)
    result = restore_stages.restore(app, name, by)
    end(app)
    return _exit_status(result)


def end_unfinished(app: AppPaths, verb: str, own_id: str = "", log: Log | None = None) -> str:
    """Do what transitions.py says with what other verbs left unfinished.

    + own_id: of the verb's own release: it continues
    + log: of the verb

    Returns who has aborted it meanwhile: the verb is aborted too; "": nobody.

    Raises Failure, with the next step, if the verb is refused; Interrupted if it must wait.
    """
    aborted_by = _end_unfinished_operation(app, verb, own_id, log)
    operation = begun(app)
    if operation is None or operation.id != own_id or not own_id:
        end_left_restore(app, verb)
    return aborted_by


def _end_unfinished_operation(app: AppPaths, verb: str, own_id: str, log: Log | None = None) -> str:
    recover(app)
    operation = begun(app)
    if operation is None:
        return ""
    if has_damaged_restore(app, operation):
        abandon(app, operation, f"{app.restoring} cannot be read")
        end(app)
        return ""
    if operation.id == own_id and operation.kind in (RELEASE, ROLLBACK):
        return ""
    rule = interrupted(operation).require(app, verb, own_id)
    if rule.do is Do.WAIT:
        raise Interrupted(operation, next_step(app, rule))
    return _finish(app, operation, log) if rule.do is Do.FINISH else ""


def _finish(app: AppPaths, operation: Operation, log: Log | None) -> str:
    """Finish or undo it. Returns who has aborted it meanwhile; "": nobody."""
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
        _run_restore(app, operation.id, operation.by)
        return
    try:
        release = Release.open(app, operation.id)
    except DAMAGED as error:
        abandon(app, operation, error)
        end(app)
        return
    _run_transaction(release, operation.kind)


def _exit_status(result: Result) -> Exit:
    return {VERIFIED: Exit.GOOD, RESTORE_FAILED: Exit.UNRESTORED}.get(result.state, Exit.FAILED)
