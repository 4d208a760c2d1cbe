"""python3 runner.pyz VERB APP_HOME …: what systemd and the controller run on a host."""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

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
from gpuhost.runner.data.rotation import rotate
from gpuhost.runner.data.scheduled_backup import run_scheduled
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import removal, rollback
from gpuhost.runner.stages import restore as restore_stages
from gpuhost.runner.stages.abandon import DAMAGED, abandon
from gpuhost.runner.stages.engine import MAX_STARTS
from gpuhost.runner.stages.transaction import keep, refuse, run_transaction
from gpuhost.runner.stages.unfinished import cut, left_by_restore, settle_restore
from gpuhost.runner.state import abort_request, results, transitions
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.lock import PATIENCE_S, Locked, is_locked, lock
from gpuhost.runner.state.operations import begin, end, unfinished
from gpuhost.runner.state.recovery import recover
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.releases import next_number
from gpuhost.runner.state.status import status
from gpuhost.runner.state.transitions import RESTORE_UNREADABLE

# Exit statuses after which systemd does not restart the runner…
GOOD, FAILED, USAGE, UNRESTORED, LOCKED = 0, 1, 2, 3, 4
# …and the one after which it does: the operation has not ended.
UNFORESEEN = 5


def run_release(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    log = Log(app.release(arguments.id).log)
    with lock(app, patience=PATIENCE_S, waits=lambda: log.stage("wait for a backup")):
        return _run_new(app, transitions.RELEASE, arguments.id, log)


def run_rollback(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        if not app.release(arguments.id).home.exists():
            rollback.prepare(app, arguments.id, arguments.to, arguments.by)
        return _run_new(app, transitions.ROLLBACK, arguments.id)


def run_resume(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        _settle(app, transitions.RESUME, "")
    return GOOD


def request_abort(arguments: argparse.Namespace) -> int:
    """Print the operation that will end; nothing if there is none."""
    app = AppPaths(arguments.app)
    operation = unfinished(app)
    left = cut(operation) if operation else left_by_restore(app)
    if left:
        left.require(app, transitions.ABORT)
    operation = abort_request.request(app, arguments.by)
    if operation:
        print(json.dumps(asdict(operation), ensure_ascii=False))
    return GOOD


def run_backup(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    operation = unfinished(app)
    if operation and operation.kind == REMOVE and not is_locked(app):
        # Nothing continues it: not waited for.
        cut(operation).require(app, transitions.BACKUP)
    try:
        run_scheduled(app, lambda: _settle_for_backup(app))
    except Locked as other:
        print(f"no backup was made: still in progress: {other}", file=sys.stderr)
        return LOCKED
    return GOOD


def run_rotation(arguments: argparse.Namespace) -> int:
    return GOOD if rotate(AppPaths(arguments.app)) else FAILED


def _settle_for_backup(app: AppPaths) -> None:
    recover(app)
    if unfinished(app) is None:
        settle_restore(app, transitions.BACKUP)


def run_restore(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        aborted_by = _settle_operation(app, transitions.RESTORE, arguments.backup)
        return _restore(app, arguments.backup, arguments.by, aborted_by)


def run_remove(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    # Checked first: taking the lock would create the directory of the app.
    if not app.releases.is_dir():
        return GOOD
    with _lock(app):
        _settle(app, transitions.REMOVE, "")
        # In place of an interrupted release, whose containers are removed too.
        _begin(app, REMOVE, "", arguments.by, "")
        for line in removal.remove(app, arguments.by):
            print(line)
    return GOOD


def run_follow(arguments: argparse.Namespace) -> int:
    follow(AppPaths(arguments.app), arguments.id, arguments.offset, arguments.seconds)
    return GOOD


def print_status(arguments: argparse.Namespace) -> int:
    print(json.dumps(status(AppPaths(arguments.app)), ensure_ascii=False))
    return GOOD


def _lock(app: AppPaths) -> AbstractContextManager[None]:
    """Take the lock; wait for a backup, which takes minutes, but not for another operation."""
    words = "waiting for a backup to end"
    return lock(app, patience=PATIENCE_S, waits=lambda: print(words, file=sys.stderr, flush=True))


def _run_new(app: AppPaths, verb: str, id: str, log: Log | None = None) -> int:
    """Run or continue a release or a rollback, after what was left unfinished.

    + log: of the release
    """
    try:
        aborted_by = _settle(app, verb, id, log)
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
        operation = _begin(release.app, kind, release.plan.id, release.plan.by, aborted_by)
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


def _begin(app: AppPaths, kind: str, id: str, by: str, aborted_by: str) -> Operation:
    """Note the start of an operation; an interrupted one continues, with the time of its start."""
    operation = unfinished(app)
    if operation is None or (operation.kind, operation.id) != (kind, id):
        operation = Operation(kind, id, by, time.time())
        begin(app, operation)
    if aborted_by:
        abort_request.request(app, aborted_by)
    return operation


def _settle(app: AppPaths, verb: str, own_id: str, log: Log | None = None) -> str:
    """Do what transitions.py says with what other verbs left unfinished.

    + own_id: of the verb's own release or backup: it continues
    + log: of the verb

    Returns who has aborted it meanwhile: the verb is aborted too; "": nobody.

    Raises Failure, with the next step, if the verb is refused.
    """
    aborted_by = _settle_operation(app, verb, own_id, log)
    operation = unfinished(app)
    if operation is None or operation.id != own_id:
        settle_restore(app, verb, own_id)
    return aborted_by


def _settle_operation(app: AppPaths, verb: str, own_id: str, log: Log | None = None) -> str:
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
        _restore(app, operation.id, operation.by)
        return
    try:
        release = Release.open(app, operation.id)
    except DAMAGED as error:
        abandon(app, operation, error)
        end(app)
        return
    _run_transaction(release, operation.kind)


def _restore(app: AppPaths, name: str, by: str, aborted_by: str = "") -> int:
    # An interrupted restore continues: a new start would overwrite newer data.
    _begin(app, RESTORE, name, by, aborted_by)
    result = restore_stages.restore(app, name, by)
    end(app)
    return _exit_status(result)


def _exit_status(result: Result) -> int:
    return {VERIFIED: GOOD, RESTORE_FAILED: UNRESTORED}.get(result.state, FAILED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        command = verbs.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("app", type=Path)
        return command

    verb("release", run_release).add_argument("id")
    verb("resume", run_resume)
    command = verb("rollback", run_rollback)
    command.add_argument("id")
    command.add_argument("--to", required=True)
    command.add_argument("--by", required=True)
    verb("abort", request_abort).add_argument("--by", required=True)
    verb("backup", run_backup)
    verb("rotate", run_rotation)
    command = verb("restore", run_restore)
    command.add_argument("backup")
    command.add_argument("--by", required=True)
    verb("remove", run_remove).add_argument("--by", required=True)
    command = verb("follow", run_follow)
    command.add_argument("id")
    command.add_argument("offset", type=int)
    command.add_argument("seconds", type=float)
    verb("status", print_status)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    try:
        status: int = arguments.function(arguments)
        return status
    except Locked as other:
        print(f"locked by {other}", file=sys.stderr)
        return LOCKED
    except (BadPlan, rollback.NoTarget) as error:
        print(error, file=sys.stderr)
        return USAGE
    except Failure as failure:
        fix = (f"-> {failure.fix}",) if failure.fix else ()
        print(failure.said, *failure.output, *fix, sep="\n", file=sys.stderr)
        return FAILED
    except Exception as error:  # a full disk, for example
        place = traceback.extract_tb(error.__traceback__)[-1]
        words = f"gpuhost itself failed: {error!r} ({Path(place.filename).name}:{place.lineno})"
        print(words, file=sys.stderr)
        return UNFORESEEN


if __name__ == "__main__":
    sys.exit(main())
