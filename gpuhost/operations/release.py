"""Releasing an app. The host carries it out by itself; the operation begins and watches it."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from functools import partial

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.app.errors import BadApp
from gpuhost.operations.commands import connector_arguments
from gpuhost.operations.reading import Commands, executing, forget, read
from gpuhost.release.deliver import NotBegun, Start, begin
from gpuhost.release.detach import following
from gpuhost.release.draft import Draft, Refused, draft
from gpuhost.release.rollout import stop, stopped_by
from gpuhost.release.wanted import wanted
from gpuhost.release.watch import Watched, watch
from gpuhost.runner.lock import Attempt
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot


@operation()
def released(app: str, declared: Settings) -> Commands:
    """
    Have an app released on the host, at the revision that its source has now: built, migrated, up,
    verified, or the release before is back and verified again. Released already, with the same
    inputs and secrets: no change. Refused, with every reason: the host fails, nothing is changed.

    + app: its name: apps/NAME.yaml
    + declared: the settings of this host

    **Example:**

    .. code:: python

        released(name="Release tts", app="tts", declared=settings)
    """
    state = ctx_state.get()
    if executing() and (first := stopped_by(state, app)):
        yield FunctionCommand(not_attempted, (app, first), {})
        return
    try:
        now = read(declared)
        drawn = draft(wanted(state, app), now, declared)
    except Exception as error:
        # An exception would end the run of every host.
        yield from refused(app, reasons(error))
        return
    if drawn.is_unchanged:
        host.noop(f"{drawn.sentence}: released and verified")
        return
    host.log(drawn.sentence if executing() else f"would release {drawn.sentence}")
    yield FunctionCommand(_release, (drawn, now), {})


def reasons(error: Exception) -> tuple[str, ...]:
    """Why nothing is released, a line each."""
    if isinstance(error, (Refused, BadApp)):
        return error.lines
    if isinstance(error, NotRead):
        return (str(error),)
    return (f"gpuhost could not work this out: {error!r}; please report this",)


def refused(app: str, lines: Iterable[str]) -> Commands:
    """The host fails with every reason. In a plan they are those of a host not made ready yet."""
    for line in lines:
        if executing():
            logger.error(f"{host.print_prefix}{app}: {line}")
        else:
            logger.warning(f"{host.print_prefix}{app}: not as the host is now: {line}")
    yield FunctionCommand(_refuse, (app,), {})


def _refuse(state: State, host: Host, app: str) -> bool:
    stop(state, app, host)
    host.log_styled(f"{app}: refused, nothing was changed", fg="red", log_func=logger.error)
    return False


def not_attempted(state: State, host: Host, app: str, first: str) -> bool:
    """This host was not reached: it keeps what it has."""
    words = f"{app}: not attempted, because {first} failed; this host keeps the release it has"
    host.log_styled(words, fg="yellow", log_func=logger.warning)
    return False


def _release(state: State, host: Host, drawn: Draft, now: Snapshot) -> bool:
    return carried_out(state, host, drawn.plan.app, partial(drawn.start, now))


def carried_out(state: State, host: Host, app: str, start: Callable[[], Start]) -> bool:
    """Begin, watch to the end, and stop the other hosts if it does not end well."""
    forget()
    try:
        is_good = _watched(host, start())
    except Exception as error:
        for line in reasons(error):
            host.log_styled(f"{app}: {line}", fg="red", log_func=logger.error)
        is_good = False
    forget()
    if not is_good:
        stop(state, app, host)
    return is_good


def _watched(host: Host, start: Start) -> bool:
    arguments = connector_arguments(host)
    kind = start.verb[0]
    try:
        busy = begin(host, start, arguments)
    except NotBegun as why:
        host.log_styled(f"{start.app}: {why}", fg="red", log_func=logger.error)
        return False
    if busy is not None:
        host.log_styled(_busy(host, start.app, busy), fg="red", log_func=logger.error)
        return False
    host.log(f"{kind} {start.id} began; Ctrl-C ends the watching only")
    return watch(host, Watched(start.app, start.id, kind, start.unit), arguments)


def _busy(host: Host, app: str, busy: Attempt) -> str:
    at_it = busy.sentence if busy.id else "a release that began just now"
    return f"{app}: refused, nothing was changed: {at_it}; follow it: {following(host.name, app)}"
