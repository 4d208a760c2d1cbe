"""A release's log, read from its host a piece at a time, for as long as something comes."""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from shlex import quote
from typing import Any

import gevent  # type: ignore[import-untyped]
from pyinfra.api.host import Host

from gpuhost.fleet.reading import (
    BrokenOff,
    NotReadable,
    Unreachable,
    ask,
    connect,
    one_line,
)
from gpuhost.fleet.report import HostStatus
from gpuhost.fleet.visiting import OutOfTime, Trouble, leave
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.transport import APPS

# The host waits so long for more before it answers.
WAIT_S = 20
# A way there and back that takes longer is broken.
WAY_S = 40
PAUSE_S = 3
# What was cut off is taken up again by systemd, or at boot.
RESUMED_WITHIN_S = 120
RESTORE = "restore"


@dataclass(frozen=True)
class Target:
    """Whose log. under_way: something writes it now.

    + release: its id; of a restore the name of the backup, beside which its log is
    """

    app: str
    release: str
    runner: str
    under_way: bool


@dataclass(frozen=True)
class NoLog:
    """There is nothing to show, and why."""

    reason: str


def target(now: Snapshot, app: str, release: str | None) -> Target | NoLog:
    """The one asked for; else what is under way; else the newest release. Raises NotRead.

    + release: its id, or the name of a backup that was restored
    """
    state = now.apps.get(app)
    if state is None or state.newest is None:
        return NoLog(f"no app {app}")
    attempt = state.under_way
    restored = [backup.name for backup in state.backups if backup.whole]
    if release is not None and state.release(release) is None and release not in restored:
        there = ", ".join(one.id for one in state.releases)
        return NoLog(f"no release {release} of {app}; there are: {there}")
    if state.runner is None:
        return NoLog(f"{app} has no runner to read its log with: release it again")
    under_way = attempt.id if attempt else ""
    known = state.release(under_way) or (attempt and attempt.kind == RESTORE)
    chosen = release or (under_way if known else "") or state.newest.id
    return Target(app, chosen, state.runner, chosen == under_way)


@dataclass(frozen=True)
class Piece:
    """state: running, ended, or lost (cut off, and not taken up again yet)."""

    state: str
    offset: int
    lines: tuple[str, ...]


class Log:
    """One host's log. patience: seconds for a connection to come back."""

    def __init__(self, host: Host, target: Target, patience: float) -> None:
        self._host, self._target, self._patience = host, target, patience
        self._offset = 0

    def show(self, write: Callable[[str], None], *, follow: bool) -> Trouble | None:
        """Give every line to `write`; what went wrong, if anything did."""
        try:
            for piece in self._followed() if follow else self._there():
                for line in piece.lines:
                    write(line)
        except Unreachable as error:
            return Trouble(HostStatus.UNREACHABLE, str(error), error.fix)
        except NotReadable as error:
            return Trouble(HostStatus.ERROR, str(error), error.fix)
        except BrokenPipeError:
            # Not of the connection: whoever read what is written has gone.
            raise
        except Exception as error:
            # A fault of ours, or of a connector: the other hosts have nothing to do with it.
            return Trouble(HostStatus.ERROR, one_line(f"{type(error).__name__}: {error}"))
        finally:
            leave(self._host)
        return None

    def _there(self) -> Iterator[Piece]:
        """What has been written by now."""
        while True:
            before = self._offset
            yield self._piece(wait=0)
            if self._offset == before:
                return

    def _followed(self) -> Iterator[Piece]:
        lost_since: float | None = None
        while True:
            before = self._offset
            piece = self._piece(wait=WAIT_S)
            yield piece
            if piece.state == "running" or self._offset > before:
                lost_since = None
                continue
            if piece.state == "ended":
                return
            lost_since = lost_since or time.monotonic()
            if time.monotonic() - lost_since > RESUMED_WITHIN_S:
                raise NotReadable(
                    "the release was cut off, and nothing has taken it up again",
                    "the next run of deploys/app.py finishes or undoes it",
                )
            gevent.sleep(PAUSE_S)

    def _piece(self, wait: int) -> Piece:
        """From where the last one ended, on a new connection if the old one is gone."""
        deadline = time.monotonic() + self._patience
        while True:
            try:
                piece = self._asked(wait)
            except (BrokenOff, Unreachable):
                leave(self._host)
                if time.monotonic() > deadline:
                    raise
                gevent.sleep(PAUSE_S)
                continue
            self._offset = piece.offset
            return piece

    def _asked(self, wait: int) -> Piece:
        home, runner = f"{APPS}/{self._target.app}", f"{APPS}/lib/{self._target.runner}"
        words = ("python3", "-I", runner, "follow", home, self._target.release)
        limit = wait + WAY_S
        command = " ".join(quote(word) for word in words)
        command = f"exec timeout {limit - 5} {command} {self._offset} {wait} </dev/null\n"
        try:
            with gevent.Timeout(limit + WAY_S, OutOfTime):
                connect(self._host)
                output = ask(self._host, command, limit, "reading the log")
        except OutOfTime:
            raise BrokenOff(f"no answer within {limit + WAY_S} s") from None
        return _piece_of(output.stdout_lines)


def _piece_of(lines: list[str]) -> Piece:
    try:
        answer: dict[str, Any] = json.loads(lines[0])
        return Piece(str(answer["state"]), int(answer["offset"]), tuple(lines[1:]))
    except (LookupError, ValueError, TypeError) as error:
        said = one_line(lines[0]) if lines else "nothing"
        raise NotReadable(f"the host's runner answered {said}") from error
