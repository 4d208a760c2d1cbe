"""Show a release that the host runs by itself, until it has ended."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

import gevent  # type: ignore[import-untyped]
from pyinfra import logger
from pyinfra.api.host import Host
from pyinfra.connectors.util import clear_askpass_cache
from typing_extensions import override

from gpuhost.remote.commands import ROUND_TRIP_SECONDS, run
from gpuhost.rollout.connection import (
    CONNECTION_ERRORS,
    CommandFailed,
    Connection,
    ConnectionLost,
    RoundTripTimeout,
)
from gpuhost.rollout.detach import detach_on_interrupt, follow_command
from gpuhost.rollout.follower import RECONNECT_SECONDS, FollowError, FollowTarget, LogFollower
from gpuhost.rollout.outcome import ReportLine, report
from gpuhost.rollout.progress import Progress, readable
from gpuhost.runner.contract import VERIFIED, Result


def watch(
    host: Host,
    target: FollowTarget,
    arguments: dict[str, Any],
    is_good: Callable[[Result], bool] = lambda result: result.state == VERIFIED,
) -> bool:
    """Show a release until it has ended. Returns whether its result is good.

    + arguments: pyinfra's connector arguments: sudo and the rest
    """
    with detach_on_interrupt(host, target.app, target.kind):
        try:
            result = _follow(host, target, arguments)
        except FollowError as error:
            host.log_styled(f"{error}", fg="red", log_func=logger.error)
            command = follow_command(host.name, target.app)
            host.log(f"the {target.kind} may still run on the host; follow it: {command}")
            return False
    _show(host, report(result, host=host.name, home=target.home))
    return is_good(result)


def _follow(host: Host, target: FollowTarget, arguments: dict[str, Any]) -> Result:
    """Raises FollowError."""
    progress = Progress(host.log, lambda line: host.log_styled(line, fg="red"))
    follower = LogFollower(
        _OperationConnection(host, arguments),
        target,
        lambda line: host.log_styled(line, fg="yellow"),
        patience=RECONNECT_SECONDS,
    )
    for poll in follower.until_end():
        progress.read(poll.lines)
        if poll.state == "ended":
            progress.end()
            if poll.result:
                return poll.result
        elif poll.first:
            first = replace(target, id=poll.first.id, kind=poll.first.kind)
            _watch_first(host, first, arguments)
        else:
            progress.show_running()
    raise FollowError(f"the {target.kind} ended, but its result cannot be read")


def _watch_first(host: Host, first: FollowTarget, arguments: dict[str, Any]) -> None:
    """Show an interrupted operation that the host finishes or undoes before the one watched."""
    try:
        result = _follow(host, first, arguments)
    except FollowError as error:
        # The one watched may continue.
        host.log_styled(f"{error}", fg="yellow")
    else:
        _show(host, report(result, host=host.name, home=first.home))


def _show(host: Host, lines: Iterable[ReportLine]) -> None:
    for line in lines:
        host.log_styled(line.text, fg=line.colour, bold=line.bold)


class _OperationConnection(Connection):
    """Runs commands in the same way as the operation itself."""

    def __init__(self, host: Host, arguments: dict[str, Any]) -> None:
        self._host, self._arguments = host, arguments

    @override
    def run(self, *words: str | int, seconds: int) -> list[str]:
        command = run(*words, seconds=seconds)
        limit = seconds + ROUND_TRIP_SECONDS
        arguments = {**self._arguments, "_timeout": limit}
        try:
            with gevent.Timeout(limit, RoundTripTimeout):
                succeeded, output = self._host.run_shell_command(command, **arguments)
        except (*CONNECTION_ERRORS, RoundTripTimeout):
            raise ConnectionLost from None
        if succeeded:
            return list(output.stdout_lines)
        # A broken connection prints nothing.
        message = "; ".join(map(readable, output.stderr_lines[-3:]))
        raise CommandFailed(message) if message else ConnectionLost

    @override
    def reconnect(self) -> None:
        """Close the old connection, and log in again."""
        clear_askpass_cache(self._host)
        client = getattr(self._host.connector, "client", None)
        with suppress(*CONNECTION_ERRORS):
            if client is not None:
                client.close()
        self._host.connected = False
        timeout = gevent.Timeout(2 * ROUND_TRIP_SECONDS, RoundTripTimeout)
        with suppress(*CONNECTION_ERRORS, RoundTripTimeout), timeout:
            self._host.connect(show_errors=False)
