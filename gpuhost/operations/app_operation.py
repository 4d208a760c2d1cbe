"""What releasing, rolling back and restoring an app have in common.

One host after another; the first failure stops the rest. A refusal is never an exception, which
would end the run on every host. The host does the work itself; the operation watches it.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.appfile.errors import BadApp
from gpuhost.operations.reading import Commands, executing, forget
from gpuhost.remote.commands import connector_arguments
from gpuhost.rollout.batch import stop_rollout, stopped_by
from gpuhost.rollout.deliver import NotStarted, StartRequest, start_release
from gpuhost.rollout.detach import follow_command
from gpuhost.rollout.draft import StartRefused
from gpuhost.rollout.follower import FollowTarget
from gpuhost.rollout.watch import watch
from gpuhost.runner.contract import Operation
from gpuhost.snapshot import NotRead
from gpuhost.snapshot.app_state import AppState, ReleaseState
from gpuhost.snapshot.apps import Apps


@dataclass(frozen=True)
class Action:
    """What to do for an app on a host.

    + does, would: the action in words, during the run and in a plan
    + start: returns what to start on the host; raises StartRefused
    + notes: more lines of a plan
    + first: an interrupted operation that the host finishes or undoes before this one
    """

    does: str
    would: str
    start: Callable[[Host], StartRequest]
    notes: tuple[str, ...] = ()
    first: Operation | None = None


@dataclass(frozen=True)
class NoChange:
    """Nothing to do: the reason, and more lines to print."""

    why: str
    more: tuple[str, ...] = ()


def run_action(app: str, decide: Callable[[], Action | NoChange]) -> Commands:
    """The commands of an operation on an app.

    + decide: reads the host and decides what to do; every exception is a refusal
    """
    decision: Action | NoChange | tuple[str, ...]
    try:
        decision = decide()
    except Exception as error:
        decision = explain(error)
    if isinstance(decision, NoChange):
        host.noop(decision.why)
        for line in decision.more:
            host.log(line)
        return
    failed = stopped_by(ctx_state.get(), app, host.current_op_hash) if executing() else None
    if failed:
        yield FunctionCommand(_skip, (app, failed), {})
    elif isinstance(decision, Action):
        host.log(decision.does if executing() else decision.would)
        for line in () if executing() else decision.notes:
            host.log(f"  {line}")
        if decision.first:
            host.log(_announce(app, decision.first))
        yield FunctionCommand(_carry_out, (app, decision.start), {})
    else:
        yield from refuse_app(app, decision)


def _announce(app: str, first: Operation) -> str:
    return (
        f"{app}: first finishes or undoes {first.sentence}, which was interrupted; to undo it "
        f"instead, run gpuhost abort INVENTORY {app} before"
    )


def known_app(apps: Apps, app: str) -> AppState:
    """Raises StartRefused if the app was never released on this host."""
    state = apps.get(app)
    if state is None:
        released = ", ".join(sorted(apps.by_name)) or "none"
        raise StartRefused([f"it was never released on this host; released apps: {released}"])
    return state


def verified_release(state: AppState) -> ReleaseState:
    """The current release. Raises StartRefused if there is none."""
    if state.current_release is None:
        raise StartRefused(["no release of it was ever verified on this host; release it first"])
    return state.current_release


def require_idle(state: AppState) -> None:
    """Raises StartRefused while another operation on the app is in progress."""
    if under_way := state.under_way:
        end_it = f"gpuhost abort INVENTORY {state.name}"
        reason = f"{under_way.kind} {under_way.id} is under way; wait for it, or end it: {end_it}"
        raise StartRefused([reason])


def explain(error: Exception) -> tuple[str, ...]:
    """Why nothing is done, a line each."""
    if isinstance(error, (StartRefused, BadApp)):
        return error.lines
    if isinstance(error, NotRead):
        return (str(error),)
    return (f"internal error: {error!r}; please report it",)


def refuse_app(app: str, lines: Iterable[str]) -> Commands:
    """Print every reason and fail the host. In a plan, earlier steps may still remove a reason."""
    for line in lines:
        if executing():
            logger.error(f"{host.print_prefix}{app}: {line}")
        else:
            logger.warning(f"{host.print_prefix}{app}: refused as the host is now: {line}")
    yield FunctionCommand(_refuse, (app,), {})


def _refuse(state: State, host: Host, app: str) -> bool:
    stop_rollout(state, app, host)
    _log_error(host, f"{app}: refused, nothing was changed")
    return False


def _skip(state: State, host: Host, app: str, failed: str) -> bool:
    text = f"{app}: not attempted, because {failed} failed; this host keeps its current release"
    host.log_styled(text, fg="yellow", log_func=logger.warning)
    return False


def _carry_out(state: State, host: Host, app: str, start: Callable[[Host], StartRequest]) -> bool:
    """Start it and watch it to the end; if it fails, no further host starts."""
    forget()
    try:
        is_good = _start_and_watch(host, start(host))
    except Exception as error:
        for line in explain(error):
            _log_error(host, f"{app}: {line}")
        is_good = False
    forget()
    if not is_good:
        stop_rollout(state, app, host)
    return is_good


def _start_and_watch(host: Host, start: StartRequest) -> bool:
    arguments = connector_arguments(host)
    kind = start.verb[0]
    try:
        holder = start_release(host, start, arguments)
    except NotStarted as error:
        _log_error(host, f"{start.app}: {error}")
        return False
    if holder is not None:
        _log_error(host, _locked(host, start.app, holder))
        return False
    host.log(f"{kind} {start.id} started; Ctrl-C detaches; the {kind} continues on the host")
    target = FollowTarget(start.app, start.id, kind, host.name, start.limit_s)
    return watch(host, target, arguments)


def _locked(host: Host, app: str, holder: Operation) -> str:
    reason = holder.sentence if holder.id else "locked by a release that just started"
    follow = follow_command(host.name, app)
    return f"{app}: refused, nothing was changed: {reason}; follow it: {follow}"


def _log_error(host: Host, text: str) -> None:
    host.log_styled(text, fg="red", log_func=logger.error)
