"""python3 runner.pyz release|resume|rollback|backup|restore|remove|follow|status APP_HOME …"""

from __future__ import annotations

import argparse
import json
import sys
import time
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
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
from gpuhost.runner.data.scheduled_backup import run_scheduled
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import removal, rollback
from gpuhost.runner.stages import restore as restore_stages
from gpuhost.runner.stages.abandon import DAMAGED, abandon
from gpuhost.runner.stages.engine import MAX_STARTS
from gpuhost.runner.stages.transaction import keep, run_transaction
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.journal import Journal
from gpuhost.runner.state.lock import PATIENCE_S, Locked, lock
from gpuhost.runner.state.operations import begin, end, unfinished
from gpuhost.runner.state.release import Release
from gpuhost.runner.state.results import read
from gpuhost.runner.state.status import status

# After these systemd does not start a runner again…
GOOD, FAILED, USAGE, UNRESTORED, LOCKED = 0, 1, 2, 3, 4
# …and after this it does: what was begun has not ended.
UNFORESEEN = 5


def run_release(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    log = Log(app.release(arguments.id).log)
    with lock(app, patience=PATIENCE_S, waits=lambda: log.stage("wait for a backup")):
        _finish_other(app, arguments.id)
        opened = Release.open(app, arguments.id)
        return _carry_out(opened, ROLLBACK if opened.plan.rollback_of else RELEASE)


def run_rollback(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        _finish_other(app, arguments.id)
        if not app.release(arguments.id).home.exists():
            rollback.prepare(app, arguments.id, arguments.to, arguments.by)
        return _carry_out(Release.open(app, arguments.id), ROLLBACK)


def run_resume(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        _finish_other(app, "")
    return GOOD


def run_backup(arguments: argparse.Namespace) -> int:
    try:
        run_scheduled(AppPaths(arguments.app))
    except Locked as other:
        print(f"no backup was made: still in progress: {other}", file=sys.stderr)
        return LOCKED
    return GOOD


def run_restore(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _lock(app):
        _finish_other(app, arguments.backup)
        return _restore(app, arguments.backup, arguments.by)


def run_remove(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    # Nothing to lock, and nothing that a lock would have to be written for.
    if not app.releases.is_dir():
        return GOOD
    with _lock(app):
        operation = unfinished(app)
        if operation and operation.kind == RESTORE:
            # Data is half exchanged.
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
    """Waits for a backup, which ends within minutes, and for no other operation."""
    words = "a backup is under way; waiting for it to end"
    return lock(app, patience=PATIENCE_S, waits=lambda: print(words, file=sys.stderr, flush=True))


def _carry_out(opened: Release, kind: str) -> int:
    ended = read(opened.paths.result)
    if ended is None:
        new = Operation(kind, opened.plan.id, opened.plan.by, time.time())
        begin(opened.app, new)
        try:
            ended = run_transaction(opened)
        except DAMAGED as error:
            # A damaged plan of the previous release stays damaged; other errors may pass.
            is_over = Journal(opened.paths.journal).starts > MAX_STARTS
            if not is_over and not isinstance(error, BadPlan):
                raise
            ended = abandon(opened.app, new, error)
    elif ended.state == VERIFIED and unfinished(opened.app):
        # Its runner was cut off in what follows a verified release.
        keep(opened)
    end(opened.app)
    return _exit_status(ended)


def _finish_other(app: AppPaths, own_id: str) -> None:
    """What was cut off is finished or undone before anything else is done."""
    operation = unfinished(app)
    if operation is None or operation.id == own_id:
        return
    if operation.kind == RESTORE:
        _restore(app, operation.id, operation.by)
        return
    if not app.release(operation.id).plan.exists():
        end(app)
        return
    try:
        opened = Release.open(app, operation.id)
    except DAMAGED as error:
        abandon(app, operation, error)
        end(app)
        return
    _carry_out(opened, operation.kind)


def _restore(app: AppPaths, name: str, by: str) -> int:
    operation = unfinished(app)
    # Cut off, it is continued; begun again it would put the backup over newer data.
    if operation is None or (operation.kind, operation.id) != (RESTORE, name):
        begin(app, Operation(RESTORE, name, by, time.time()))
    result = restore_stages.restore(app, name, by)
    end(app)
    return _exit_status(result)


def _exit_status(result: Result) -> int:
    return {VERIFIED: GOOD, RESTORE_FAILED: UNRESTORED}.get(result.state, FAILED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name)
        added.set_defaults(function=function)
        added.add_argument("app", type=Path)
        return added

    verb("release", run_release).add_argument("id")
    verb("resume", run_resume)
    rolling = verb("rollback", run_rollback)
    rolling.add_argument("id")
    rolling.add_argument("--to", required=True)
    rolling.add_argument("--by", required=True)
    verb("backup", run_backup)
    restoring = verb("restore", run_restore)
    restoring.add_argument("backup")
    restoring.add_argument("--by", required=True)
    verb("remove", run_remove).add_argument("--by", required=True)
    following = verb("follow", run_follow)
    following.add_argument("id")
    following.add_argument("offset", type=int)
    following.add_argument("seconds", type=float)
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
