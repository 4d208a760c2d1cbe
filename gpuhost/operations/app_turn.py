"""What releasing, bringing back and restoring an app have in common.

Hosts take turns, and the first that fails stops the rest; a reason is never an exception, which
would end the run of every host; and the host does the work by itself, watched from here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from dataclasses import dataclass

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.app.errors import BadApp
from gpuhost.operations.commands import connector_arguments
from gpuhost.operations.reading import Commands, executing, forget
from gpuhost.release.deliver import NotBegun, Start, begin
from gpuhost.release.detach import following
from gpuhost.release.draft import Refused
from gpuhost.release.follower import Followed
from gpuhost.release.rollout import stop, stopped_by
from gpuhost.release.watch import watch
from gpuhost.runner.contract import Operation
from gpuhost.snapshot import NotRead


@dataclass(frozen=True)
class Turn:
    """What a host is to do for an app.

    + does, would: it in words, while it is done and in a plan
    + start: what is begun on the host; raises Refused
    """

    does: str
    would: str
    start: Callable[[Host], Start]


@dataclass(frozen=True)
class Nothing:
    """There is nothing to do: why, and what else there is to say."""

    why: str
    more: tuple[str, ...] = ()


def in_turn(app: str, decide: Callable[[], Turn | Nothing]) -> Commands:
    """The commands of an operation on an app.

    + decide: reads the host and says what is to be done; whatever it raises is a refusal
    """
    decided = _decided(decide)
    if isinstance(decided, Nothing):
        host.noop(decided.why)
        for line in decided.more:
            host.log(line)
        return
    first = stopped_by(ctx_state.get(), app, host.current_op_hash) if executing() else None
    if first:
        yield FunctionCommand(_not_attempted, (app, first), {})
    elif isinstance(decided, Turn):
        host.log(decided.does if executing() else decided.would)
        yield FunctionCommand(_carried_out, (app, decided.start), {})
    else:
        yield from refused(app, decided)


def _decided(decide: Callable[[], Turn | Nothing]) -> Turn | Nothing | tuple[str, ...]:
    """What is to be done, or why nothing can be, a line each."""
    try:
        return decide()
    except Exception as error:
        return reasons(error)


def reasons(error: Exception) -> tuple[str, ...]:
    """Why nothing is done, a line each."""
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


def _not_attempted(state: State, host: Host, app: str, first: str) -> bool:
    """This host was not reached: it keeps what it has."""
    words = f"{app}: not attempted, because {first} failed; this host keeps the release it has"
    host.log_styled(words, fg="yellow", log_func=logger.warning)
    return False


def _carried_out(state: State, host: Host, app: str, start: Callable[[Host], Start]) -> bool:
    """Begin, watch to the end, and stop the other hosts if it does not end well."""
    forget()
    try:
        is_good = _watched(host, start(host))
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
    return watch(host, Followed(start.app, start.id, kind, host.name), arguments)


def _busy(host: Host, app: str, busy: Operation) -> str:
    at_it = busy.sentence if busy.id else "a release that began just now"
    return f"{app}: refused, nothing was changed: {at_it}; follow it: {following(host.name, app)}"
