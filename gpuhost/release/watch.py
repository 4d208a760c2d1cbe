"""The controller's view of a release that the host carries out by itself.

Each look is one bounded command that reads the log from where the last one ended. A connection that
breaks changes nothing on the host: it is made again, and the looking goes on.
"""

from __future__ import annotations

import json
import time
from contextlib import suppress
from dataclasses import dataclass
from typing import Any

import gevent  # type: ignore[import-untyped]
from paramiko import SSHException
from pyinfra import logger
from pyinfra.api import StringCommand
from pyinfra.api.exceptions import ConnectError
from pyinfra.api.host import Host
from pyinfra.connectors.util import clear_askpass_cache

from gpuhost.operations.commands import run
from gpuhost.release.detach import detaching, following
from gpuhost.release.outcome import report
from gpuhost.release.progress import Progress, readable
from gpuhost.runner.lock import Attempt
from gpuhost.runner.paths import APPS
from gpuhost.runner.result import VERIFIED, Result
from gpuhost.runner.shape import from_json

# The host waits so long for more of the log before it answers.
WAIT_SECONDS = 10
# A way there and back that takes longer is broken.
WAY_SECONDS = 30
PAUSE_SECONDS = 1.0
# A server that reboots is back within this, or its release is left to itself.
RECONNECT_SECONDS = 600
RECONNECT_PAUSE = 3.0
# What was cut off is taken up by systemd within seconds, or at boot once the engine is there.
RESUMED_WITHIN_SECONDS = 120
BROKEN = (SSHException, EOFError, OSError, ConnectError)


class _OutOfTime(BaseException):
    """No handler of ordinary errors on the way may keep it."""


class _GaveUp(Exception):
    """Why there is no more to see; the host goes on all the same."""


@dataclass(frozen=True)
class Watched:
    """What is looked at. kind: "release" or "rollback"; unit: the host's systemd unit."""

    app: str
    id: str
    kind: str
    unit: str

    @property
    def home(self) -> str:
        return f"{APPS}/{self.app}"


@dataclass(frozen=True)
class _Look:
    state: str
    offset: int
    result: Result | None
    holder: Attempt | None
    lines: tuple[str, ...]


def watch(host: Host, watched: Watched, arguments: dict[str, Any]) -> bool:
    """Show a release until it has ended; whether it is verified.

    + arguments: how commands reach the host: sudo, and all the rest
    """
    watching = _Watching(host, watched, arguments)
    with detaching(host, watched.app, watched.kind):
        try:
            ended = watching.to_its_end()
        except _GaveUp as why:
            host.log_styled(f"{why}", fg="red", log_func=logger.error)
            where = following(host.name, watched.app)
            host.log(f"the {watched.kind} goes on by itself if it can; follow it: {where}")
            return False
    for said in report(ended, host=host.name, home=watched.home):
        host.log_styled(said.text, fg=said.colour, bold=said.bold)
    return ended.state == VERIFIED


class _Watching:
    def __init__(self, host: Host, watched: Watched, arguments: dict[str, Any]) -> None:
        self._host, self._watched, self._arguments = host, watched, arguments
        self._progress = Progress(host.log, lambda line: host.log_styled(line, fg="red"))
        self._offset = 0
        self._lost_since: float | None = None
        self._told_of: str | None = None
        # In the host's words, why a look failed although the connection was there.
        self._refused = ""

    def to_its_end(self) -> Result:
        """Raises _GaveUp."""
        while True:
            look = self._look()
            self._offset = look.offset
            self._progress.read(look.lines)
            if look.state == "ended" and look.result:
                self._progress.end()
                return look.result
            self._progress.still()
            if look.state == "lost":
                self._be_patient(look)
            else:
                self._lost_since = None
            gevent.sleep(PAUSE_SECONDS)

    def _be_patient(self, look: _Look) -> None:
        """Nobody is at it: it is taken up soon, or something else is finished first."""
        other = look.holder if look.holder and look.holder.id != self._watched.id else None
        if other and self._told_of != other.id:
            self._told_of = other.id
            self._host.log(f"first what was cut off is finished or undone: {other.sentence}")
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        if self._is_at_work():
            self._lost_since = now
        elif now - self._lost_since > RESUMED_WITHIN_SECONDS or not (look.holder or self._offset):
            raise _GaveUp(self._why_it_ended())

    def _is_at_work(self) -> bool:
        resume = f"gpuhost-resume@{self._watched.app}.service"
        units = (self._watched.unit, resume)
        shown = self._ask(run("systemctl", "show", "--property=ActiveState", "--value", *units))
        return any(line in ("active", "activating", "deactivating") for line in shown)

    def _why_it_ended(self) -> str:
        """In the runner's own words, which systemd keeps; they hold no secret."""
        journal = run(
            "journalctl", "--no-pager", "--output=cat", "--lines=5", "--since=-10min",
            f"--unit={self._watched.unit}",
        )  # fmt: skip
        said = "; ".join(readable(line) for line in self._ask(journal))
        words = f"the {self._watched.kind} ended without a result"
        return f"{words}: {said}" if said else words

    def _look(self) -> _Look:
        command = run(
            "python3", "-I", f"{self._watched.home}/runner.pyz", "follow", self._watched.home,
            self._watched.id, self._offset, WAIT_SECONDS, seconds=WAIT_SECONDS + WAY_SECONDS,
        )  # fmt: skip
        lost_at: float | None = None
        while True:
            lines = self._ask_once(command)
            if lines and (look := _look_of(lines)):
                if lost_at is not None:
                    self._host.log("the connection is back")
                return look
            if lost_at is None:
                lost_at = time.monotonic()
                self._host.log_styled(
                    f"no answer; the {self._watched.kind} goes on on {self._host.name}, "
                    f"trying again for {RECONNECT_SECONDS} s",
                    fg="yellow",
                )
            if time.monotonic() - lost_at > RECONNECT_SECONDS:
                why = f": {self._refused}" if self._refused else ""
                raise _GaveUp(f"no answer from {self._host.name} for {RECONNECT_SECONDS} s{why}")
            gevent.sleep(RECONNECT_PAUSE)
            if not self._refused:
                self._connect_again()

    def _ask(self, command: StringCommand) -> list[str]:
        return self._ask_once(command) or []

    def _ask_once(self, command: StringCommand) -> list[str] | None:
        """What a command prints; None: it did not get there and back."""
        limit = WAIT_SECONDS + 2 * WAY_SECONDS
        arguments = {**self._arguments, "_timeout": limit}
        try:
            with gevent.Timeout(limit, _OutOfTime):
                done, output = self._host.run_shell_command(command, **arguments)
        except (*BROKEN, _OutOfTime):
            self._refused = ""
            return None
        # A connection that breaks says nothing at all.
        self._refused = "" if done else "; ".join(map(readable, output.stderr_lines[-3:]))
        return list(output.stdout_lines) if done else None

    def _connect_again(self) -> None:
        """A new login. Whatever the old one still had is given up."""
        clear_askpass_cache(self._host)
        client = getattr(self._host.connector, "client", None)
        with suppress(*BROKEN):
            if client is not None:
                client.close()
        self._host.connected = False
        try:
            with gevent.Timeout(2 * WAY_SECONDS, _OutOfTime):
                self._host.connect(show_errors=False)
        except (*BROKEN, _OutOfTime):
            return


def _look_of(lines: list[str]) -> _Look | None:
    """The runner's answer; None for anything else, a login's greeting or half of one."""
    try:
        answer = json.loads(lines[0])
        result, holder = answer["result"], answer["holder"]
        return _Look(
            str(answer["state"]),
            int(answer["offset"]),
            from_json(Result, result) if result else None,
            from_json(Attempt, holder) if holder else None,
            tuple(lines[1:]),
        )
    except (LookupError, ValueError, TypeError):
        return None
