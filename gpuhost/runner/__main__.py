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
from gpuhost.runner.stages.transaction import keep, run_transaction
from gpuhost.runner.state import abort_request, results
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.lock import PATIENCE_S, Locked, lock
from gpuhost.runner.state.operations import begin, end, unfinished
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.status import status

# Exit statuses after which systemd does not restart the runner…
GOOD, FAILED, USAGE, UNRESTORED, LOCKED = 0, 1, 2, 3, 4
# …and the one after which it does: the operation has not ended.
UNFORESEEN = 5


def run_release(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    log = Log(app.release(arguments.id).log)
    with lock(app, patience=PATIENCE_S, waits=lambda: log.stage("wait for a backup")):
        aborted_by = _resume_other(app, arguments.id, log)
        release = Release.open(app, arguments.id)
        kind = ROLLBACK if release.plan.rollback_of else RELEASE
        return _run_transaction(release, kind, aborted_by)


def run_rollback(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        aborted_by = _resume_other(app, arguments.id)
        if not app.release(arguments.id).home.exists():
            rollback.prepare(app, arguments.id, arguments.to, arguments.by)
        return _run_transaction(Release.open(app, arguments.id), ROLLBACK, aborted_by)


def run_resume(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        _resume_other(app, "")
    return GOOD


def request_abort(arguments: argparse.Namespace) -> int:
    """Print the operation that will end; nothing if there is none."""
    operation = abort_request.request(AppPaths(arguments.app), arguments.by)
    if operation:
        print(json.dumps(asdict(operation), ensure_ascii=False))
    return GOOD


def run_backup(arguments: argparse.Namespace) -> int:
    try:
        run_scheduled(AppPaths(arguments.app))
    except Locked as other:
        print(f"no backup was made: still in progress: {other}", file=sys.stderr)
        return LOCKED
    return GOOD


def run_rotation(arguments: argparse.Namespace) -> int:
    return GOOD if rotate(AppPaths(arguments.app)) else FAILED


def run_restore(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        aborted_by = _resume_other(app, arguments.backup)
        return _restore(app, arguments.backup, arguments.by, aborted_by)


def run_remove(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    # Checked first: taking the lock would create the directory of the app.
    if not app.releases.is_dir():
        return GOOD
    with _lock(app):
        operation = unfinished(app)
        if operation and operation.kind == RESTORE:
            # Only a part of the data is exchanged.
            _restore(app, operation.id, operation.by)
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


def _run_transaction(release: Release, kind: str, aborted_by: str = "") -> int:
    """+ aborted_by: who has aborted this one before it began; "": nobody"""
    result = results.read(release.paths.result)
    if result is None:
        operation = _begin(release.app, kind, release.plan.id, release.plan.by, aborted_by)
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


def _resume_other(app: AppPaths, own_id: str, log: Log | None = None) -> str:
    """Finish or undo an interrupted operation before the own one.

    + log: of the own one

    Returns who has aborted it meanwhile: the own one is aborted too; "": nobody.
    """
    operation = unfinished(app)
    if operation is None or operation.id == own_id:
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
    if not app.release(operation.id).plan.exists():
        end(app)
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
    except Exception:  # a full disk, for example
        traceback.print_exc()
        return UNFORESEEN


if __name__ == "__main__":
    sys.exit(main())
