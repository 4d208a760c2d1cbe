"""python3 runner.pyz VERB APP_HOME …: what systemd and the controller run on a host."""

from __future__ import annotations

import argparse
import errno
import json
import sys
import traceback
from collections.abc import Callable
from contextlib import AbstractContextManager
from dataclasses import asdict
from pathlib import Path

from gpuhost.runner.contract import RELEASE, REMOVE, ROLLBACK, AppPaths
from gpuhost.runner.data.rotation import rotate
from gpuhost.runner.data.scheduled_backup import run_scheduled
from gpuhost.runner.lib.failure import OF_HOST, Failure, failure_of, in_words
from gpuhost.runner.lib.files import move_aside
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import BadPlan
from gpuhost.runner.stages import carry_out, removal, rollback
from gpuhost.runner.stages.carry_out import Exit
from gpuhost.runner.stages.unfinished import has_damaged_restore, interrupted, left_by_restore
from gpuhost.runner.state import abort_request
from gpuhost.runner.state.follow import follow
from gpuhost.runner.state.lock import PATIENCE_S, Locked, is_locked, lock
from gpuhost.runner.state.operations import ID, begun
from gpuhost.runner.state.status import status
from gpuhost.runner.state.transitions import ABORT, BACKUP, RESUME, Do

# A directory in place of a file, a file in place of a directory, a link to itself: not temporary.
WRONG_KIND = (errno.EISDIR, errno.ENOTDIR, errno.EEXIST, errno.ELOOP, errno.ENXIO)


def run_release(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    log = Log(app.release(arguments.id).log)
    with lock(app, patience=PATIENCE_S, waits=lambda: log.stage("wait for a backup")):
        return carry_out.run_new(app, RELEASE, arguments.id, log)


def run_rollback(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    with _lock(app):
        if not app.release(arguments.id).home.exists():
            rollback.prepare(app, arguments.id, arguments.to, arguments.by)
        return carry_out.run_new(app, ROLLBACK, arguments.id)


def run_resume(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    with _lock(app):
        carry_out.end_unfinished(app, RESUME)
    return Exit.GOOD


def request_abort(arguments: argparse.Namespace) -> Exit:
    """Print the operation that will end; nothing if there is none."""
    app = AppPaths(arguments.app)
    operation = begun(app)
    if operation and operation.kind == REMOVE and is_locked(app):
        raise Failure(
            "a removal is in progress, and cannot be aborted",
            fix="wait until it has ended, then release the app again: its data is kept",
        )
    if operation and has_damaged_restore(app, operation) and not is_locked(app):
        # Nobody can continue it.
        operation = None
    left = interrupted(operation) if operation else left_by_restore(app)
    is_undone = left is not None and left.require(app, ABORT).do is Do.UNDO
    if operation and is_undone:
        abort_request.request(app, operation, arguments.by)
        print(json.dumps(asdict(operation)))
    return Exit.GOOD


def run_backup(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    try:
        run_scheduled(app, lambda: carry_out.end_unfinished(app, BACKUP))
    except Locked as other:
        print(*other.no_backup, sep="\n", file=sys.stderr)
        return Exit.LOCKED
    return Exit.GOOD


def run_rotation(arguments: argparse.Namespace) -> Exit:
    return Exit.GOOD if rotate(AppPaths(arguments.app)) else Exit.FAILED


def run_restore(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    with _lock(app):
        return carry_out.run_restore(app, arguments.backup, arguments.by)


def run_remove(arguments: argparse.Namespace) -> Exit:
    app = AppPaths(arguments.app)
    # Checked first: taking the lock would create the directory of the app.
    if not app.releases.is_dir():
        return Exit.GOOD
    with _lock(app):
        if not app.releases.is_dir():
            # Another removal had the lock.
            return Exit.GOOD
        if by := carry_out.end_unfinished(app, REMOVE):
            raise Failure(f"not removed: {by} has aborted what came first", fix="remove it again")
        # In place of an interrupted release, whose containers are removed too.
        carry_out.begin_operation(app, REMOVE, "", arguments.by)
        for line in removal.remove(app, arguments.by):
            print(line)
    return Exit.GOOD


def run_follow(arguments: argparse.Namespace) -> Exit:
    follow(AppPaths(arguments.app), arguments.id, arguments.offset, arguments.seconds)
    return Exit.GOOD


def print_status(arguments: argparse.Namespace) -> Exit:
    print(json.dumps(status(AppPaths(arguments.app))))
    return Exit.GOOD


def _lock(app: AppPaths) -> AbstractContextManager[None]:
    """Take the lock; wait for a backup, which takes minutes, but not for another operation."""
    words = "waiting for a backup to end"
    return lock(app, patience=PATIENCE_S, waits=lambda: print(words, file=sys.stderr, flush=True))


def _id(text: str) -> str:
    """The directory of a release or of a backup: another name could lead to that of another app."""
    if not ID.fullmatch(text):
        raise argparse.ArgumentTypeError(f"{text!r} is not the id of a release or of a backup")
    return text


def _arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description=__doc__)
    verbs = parser.add_subparsers(required=True)

    def verb(name: str, function: Callable[[argparse.Namespace], Exit]) -> argparse.ArgumentParser:
        command = verbs.add_parser(name)
        command.set_defaults(function=function)
        command.add_argument("app", type=Path)
        return command

    verb("release", run_release).add_argument("id", type=_id)
    verb("resume", run_resume)
    command = verb("rollback", run_rollback)
    command.add_argument("id", type=_id)
    command.add_argument("--to", type=_id, required=True)
    command.add_argument("--by", required=True)
    verb("abort", request_abort).add_argument("--by", required=True)
    verb("backup", run_backup)
    verb("rotate", run_rotation)
    command = verb("restore", run_restore)
    command.add_argument("backup", type=_id)
    command.add_argument("--by", required=True)
    verb("remove", run_remove).add_argument("--by", required=True)
    command = verb("follow", run_follow)
    command.add_argument("id", type=_id)
    command.add_argument("offset", type=int)
    command.add_argument("seconds", type=float)
    verb("status", print_status)
    return parser.parse_args()


def main() -> Exit:
    arguments = _arguments()
    try:
        status: Exit = arguments.function(arguments)
        return status
    except Locked as other:
        print(f"locked by {other}", file=sys.stderr)
        return Exit.LOCKED
    except (BadPlan, rollback.NoTarget) as error:
        print(error, file=sys.stderr)
        return Exit.USAGE
    except Failure as failure:
        print(*failure.lines, sep="\n", file=sys.stderr)
        return Exit.FAILED
    except Exception as error:  # a full disk, for example
        return _print_unforeseen(error)


def _print_unforeseen(error: Exception) -> Exit:
    if isinstance(error, OSError) and error.errno in OF_HOST:
        # It may be temporary: systemd starts the runner again.
        print(*failure_of(error).lines, sep="\n", file=sys.stderr)
        return Exit.UNFORESEEN
    if isinstance(error, OSError) and error.errno in WRONG_KIND and error.filename:
        wrong = _first_wrong(Path(error.filename))
        # A name alone is one in a directory that was opened, and no path.
        fix = move_aside(wrong) if wrong.is_absolute() else ""
        print(*Failure(f"{wrong}: {error.strerror}", fix=fix).lines, sep="\n", file=sys.stderr)
        return Exit.FAILED
    place = traceback.extract_tb(error.__traceback__)[-1]
    words = f"{in_words(error)} ({Path(place.filename).name}:{place.lineno})"
    print(words, file=sys.stderr)
    return Exit.UNFORESEEN


def _first_wrong(path: Path) -> Path:
    """What is in place of a directory above a path, or the path itself."""
    return next((above for above in reversed(path.parents) if not above.is_dir()), path)


if __name__ == "__main__":
    sys.exit(main())
