"""The controller's view of a release that the host carries out by itself."""

from __future__ import annotations

from contextlib import suppress
from typing import Any

import gevent  # type: ignore[import-untyped]
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.connectors.util import clear_askpass_cache
from typing_extensions import override

from gpuhost.operations.commands import run
from gpuhost.release.detach import detaching, following
from gpuhost.release.follower import (
    RECONNECT_SECONDS,
    WAY_SECONDS,
    Broken,
    Followed,
    Follower,
    GaveUp,
    Reach,
    Refused,
)
from gpuhost.release.outcome import report
from gpuhost.release.progress import Progress, readable
from gpuhost.runner.contract import VERIFIED, Result

BROKEN = (SSHException, EOFError, OSError, ConnectError)


class _OutOfTime(BaseException):
    """No handler of ordinary errors on the way may keep it."""


def watch(host: Host, followed: Followed, arguments: dict[str, Any]) -> bool:
    """Show a release until it has ended; whether it is verified.

    + arguments: how commands reach the host: sudo, and all the rest
    """
    with detaching(host, followed.app, followed.kind):
        try:
            ended = _to_its_end(host, followed, arguments)
        except GaveUp as why:
            host.log_styled(f"{why}", fg="red", log_func=logger.error)
            where = following(host.name, followed.app)
            host.log(f"the {followed.kind} goes on by itself if it can; follow it: {where}")
            return False
    for said in report(ended, host=host.name, home=followed.home):
        host.log_styled(said.text, fg=said.colour, bold=said.bold)
    return ended.state == VERIFIED


def _to_its_end(host: Host, followed: Followed, arguments: dict[str, Any]) -> Result:
    """Raises GaveUp."""
    progress = Progress(host.log, lambda line: host.log_styled(line, fg="red"))
    follower = Follower(
        _OfAnOperation(host, arguments),
        followed,
        lambda line: host.log_styled(line, fg="yellow"),
        patience=RECONNECT_SECONDS,
    )
    for look in follower.to_its_end():
        progress.read(look.lines)
        if look.state != "ended":
            progress.still()
        elif look.result:
            progress.end()
            return look.result
    raise GaveUp(f"the {followed.kind} ended, and its result cannot be read")


class _OfAnOperation(Reach):
    """As the operation's own commands reach the host."""

    def __init__(self, host: Host, arguments: dict[str, Any]) -> None:
        self._host, self._arguments = host, arguments

    @override
    def ask(self, *words: str | int, seconds: int) -> list[str]:
        command = run(*words, seconds=seconds)
        limit = seconds + WAY_SECONDS
        arguments = {**self._arguments, "_timeout": limit}
        try:
            with gevent.Timeout(limit, _OutOfTime):
                done, output = self._host.run_shell_command(command, **arguments)
        except (*BROKEN, _OutOfTime):
            raise Broken from None
        if done:
            return list(output.stdout_lines)
        # A connection that breaks says nothing at all.
        said = "; ".join(map(readable, output.stderr_lines[-3:]))
        raise Refused(said) if said else Broken

    @override
    def connect_again(self) -> None:
        """Whatever the old connection still had is given up."""
        clear_askpass_cache(self._host)
        client = getattr(self._host.connector, "client", None)
        with suppress(*BROKEN):
            if client is not None:
                client.close()
        self._host.connected = False
        with suppress(*BROKEN, _OutOfTime), gevent.Timeout(2 * WAY_SECONDS, _OutOfTime):
            self._host.connect(show_errors=False)
