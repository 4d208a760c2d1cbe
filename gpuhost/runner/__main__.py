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

from gpuhost.runner.contract import RESTORE_FAILED, VERIFIED, AppPaths, Operation, Result
from gpuhost.runner.data import backup
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import removal, rollback
from gpuhost.runner.stages import restore as restore_stages
from gpuhost.runner.stages.abandon import DAMAGED, give_up
from gpuhost.runner.stages.engine import MOST_STARTS
from gpuhost.runner.stages.transaction import carry_out, keep
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


def release(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    log = Log(app.release(arguments.id).log)
    with lock(app, patience=PATIENCE_S, waits=lambda: log.stage("wait for a backup")):
        _finish_another(app, arguments.id)
        opened = Release.open(app, arguments.id)
        return _attempt(opened, "rollback" if opened.plan.rollback_of else "release")


def rolled_back(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _alone(app):
        _finish_another(app, arguments.id)
        if not app.release(arguments.id).home.exists():
            rollback.prepare(app, arguments.id, arguments.to, arguments.by)
        return _attempt(Release.open(app, arguments.id), "rollback")


def resume(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _alone(app):
        _finish_another(app, "")
    return GOOD


def backed_up(arguments: argparse.Namespace) -> int:
    try:
        backup.scheduled(AppPaths(arguments.app))
    except Locked as other:
        print(f"no backup was made, this has not ended: {other}", file=sys.stderr)
        return LOCKED
    return GOOD


def restored(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    with _alone(app):
        _finish_another(app, arguments.backup)
        return _restore(app, arguments.backup, arguments.by)


def removed(arguments: argparse.Namespace) -> int:
    app = AppPaths(arguments.app)
    # Nothing to lock, and nothing that a lock would have to be written for.
    if not app.releases.is_dir():
        return GOOD
    with _alone(app):
        found = unfinished(app)
        if found and found.kind == "restore":
            # Data is half exchanged.
            _restore(app, found.id, found.by)
        for line in removal.remove(app, arguments.by):
            print(line)
    return GOOD


def followed(arguments: argparse.Namespace) -> int:
    follow(AppPaths(arguments.app), arguments.id, arguments.offset, arguments.seconds)
    return GOOD


def shown(arguments: argparse.Namespace) -> int:
    print(json.dumps(status(AppPaths(arguments.app)), ensure_ascii=False))
    return GOOD


def _alone(app: AppPaths) -> AbstractContextManager[None]:
    """A backup ends within minutes; two people at once are one too many."""
    words = "a backup is under way; this begins when it has ended"
    return lock(app, patience=PATIENCE_S, waits=lambda: print(words, file=sys.stderr, flush=True))


def _attempt(opened: Release, kind: str) -> int:
    ended = read(opened.paths.result)
    if ended is None:
        new = Operation(kind, opened.plan.id, opened.plan.by, time.time())
        begin(opened.app, new)
        try:
            ended = carry_out(opened)
        except DAMAGED as error:
            # A plan, of the release before, stays as it is; all else may have been of a moment.
            is_over = Journal(opened.paths.journal).starts > MOST_STARTS
            if not is_over and not isinstance(error, BadPlan):
                raise
            ended = give_up(opened.app, new, error)
    elif ended.state == VERIFIED and unfinished(opened.app):
        # Its runner was cut off in what follows from a good one.
        keep(opened)
    end(opened.app)
    return _status_of(ended)


def _finish_another(app: AppPaths, wanted: str) -> None:
    """What was cut off is finished or undone before anything else is done."""
    found = unfinished(app)
    if found is None or found.id == wanted:
        return
    if found.kind == "restore":
        _restore(app, found.id, found.by)
        return
    if not app.release(found.id).plan.exists():
        end(app)
        return
    try:
        opened = Release.open(app, found.id)
    except DAMAGED as error:
        give_up(app, found, error)
        end(app)
        return
    _attempt(opened, found.kind)


def _restore(app: AppPaths, name: str, by: str) -> int:
    found = unfinished(app)
    # Cut off, it goes on; begun anew it would put the backup over newer data.
    if found is None or (found.kind, found.id) != ("restore", name):
        begin(app, Operation("restore", name, by, time.time()))
    result = restore_stages.restore(app, name, by)
    end(app)
    return _status_of(result)


def _status_of(result: Result) -> int:
    return {VERIFIED: GOOD, RESTORE_FAILED: UNRESTORED}.get(result.state, FAILED)


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], int]) -> argparse.ArgumentParser:
        added = verbs.add_parser(name)
        added.set_defaults(function=function)
        added.add_argument("app", type=Path)
        return added

    verb("release", release).add_argument("id")
    verb("resume", resume)
    rolling = verb("rollback", rolled_back)
    rolling.add_argument("id")
    rolling.add_argument("--to", required=True)
    rolling.add_argument("--by", required=True)
    verb("backup", backed_up)
    restoring = verb("restore", restored)
    restoring.add_argument("backup")
    restoring.add_argument("--by", required=True)
    verb("remove", removed).add_argument("--by", required=True)
    following = verb("follow", followed)
    following.add_argument("id")
    following.add_argument("offset", type=int)
    following.add_argument("seconds", type=float)
    verb("status", shown)
    return parser.parse_args()


def main() -> int:
    arguments = _arguments()
    try:
        status: int = arguments.function(arguments)
        return status
    except Locked as other:
        print(f"another is at it: {other}", file=sys.stderr)
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
