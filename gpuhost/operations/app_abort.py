"""End the operation in progress on an app, or one that was interrupted, and undo it."""

from __future__ import annotations

from functools import partial

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, StringCommand
from pyinfra.api.host import Host

from gpuhost.domain import host_json
from gpuhost.domain.plain_text import safe
from gpuhost.operations.app_operation import explain, refuse_app
from gpuhost.operations.app_removal import encoded_runner
from gpuhost.operations.app_restore import LIMIT_SECONDS
from gpuhost.operations.reading import Commands, executing, forget, read
from gpuhost.remote.commands import connector_arguments, inline_script, run_on
from gpuhost.rollout.connection import without_greeting
from gpuhost.rollout.draft import current_user
from gpuhost.rollout.follower import FollowTarget
from gpuhost.rollout.progress import readable
from gpuhost.rollout.runner_file import runner_file
from gpuhost.rollout.watch import watch
from gpuhost.runner.contract import (
    APPS,
    FAILED,
    RESTORED,
    UNDONE,
    Operation,
    Result,
    from_json,
    release_unit,
    resume_unit,
)
from gpuhost.settings import Settings

SCRIPT = "app_abort.sh"
# The script may wait for a unit that is being stopped.
SCRIPT_SECONDS = 300
# What was before runs again, or nothing was changed.
UNDONE_STATES = (FAILED, RESTORED, UNDONE)


def commands(app: str, settings: Settings) -> Commands:
    """The commands of `app.abort`."""
    try:
        state = read(settings).apps.get(app)
    except Exception as error:
        # An exception would end the run on every host.
        yield from refuse_app(app, explain(error))
        return
    operation = (state.under_way or state.cut_off) if state else None
    if operation is None:
        nothing = f"{app}: nothing is in progress"
        host.noop(nothing)
        # pyinfra shows the above only with -v.
        host.log(nothing)
        return
    what = operation.sentence if operation.id else "an operation that has just started"
    host.log(f"{app}: {'aborts' if executing() else 'would abort'} {what}")
    yield FunctionCommand(_abort, (app,), {})


def _abort(state: State, host: Host, app: str) -> bool:
    forget()
    arguments = connector_arguments(host)
    done, output = run_on(host, command(app), _stdin=encoded_runner())
    if not done:
        lines = output.stderr_lines or ["the connection was lost; run this again"]
        for line in lines:
            _log_error(host, f"{app}: {readable(line)}")
        return False
    operation = _operation(without_greeting(output.stdout_lines))
    if operation is None:
        _log_error(host, f"{app}: it has just ended, or waits for a backup and has not begun yet")
        return False
    host.log(f"asked for the end of {operation.sentence}; it stops at the next safe point")
    target = FollowTarget(app, operation.id, "abort", host.name, LIMIT_SECONDS)
    good = watch(host, target, arguments, partial(_is_undone, host))
    forget()
    return good


def _is_undone(host: Host, result: Result) -> bool:
    if result.verified:
        back = f"gpuhost rollback INVENTORY {result.app}"
        _log_error(host, f"it was verified before it could be aborted; to go back: {back}")
    return result.state in UNDONE_STATES


def _operation(lines: list[str]) -> Operation | None:
    try:
        return safe(from_json(Operation, host_json.parse(lines[0]))) if lines else None
    except (ValueError, TypeError):
        return None


def command(app: str) -> StringCommand:
    """The script is an argument, because the runner is sent on stdin."""
    arguments = (
        f"{APPS}/{app}",
        current_user(),
        release_unit(app),
        resume_unit(app),
        LIMIT_SECONDS,
        runner_file().name,
    )
    return inline_script(SCRIPT, *arguments, seconds=SCRIPT_SECONDS)


def _log_error(host: Host, text: str) -> None:
    host.log_styled(text, fg="red", log_func=logger.error)
