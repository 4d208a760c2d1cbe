"""Follow a release on its host by polling, over connections that may break.

Each poll is one command with a time limit. It reads the log from where the last poll ended. A lost
connection changes nothing on the host: the follower reconnects and continues.
"""

from __future__ import annotations

import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass

import gevent  # type: ignore[import-untyped]

from gpuhost.domain import host_json
from gpuhost.domain.plain_text import safe
from gpuhost.remote.commands import ROUND_TRIP_SECONDS
from gpuhost.rollout.connection import (
    CommandFailed,
    Connection,
    ConnectionLost,
    without_greeting,
)
from gpuhost.rollout.progress import readable
from gpuhost.runner.contract import APPS, Operation, Result, release_unit, resume_unit

STATES = {state: state for state in ("running", "ended", "lost")}
# The host waits this long for more of the log before it answers.
WAIT_SECONDS = 10
PAUSE_SECONDS = 1.0
# For a log that nothing is written to any more.
AVAILABLE_SECONDS = 600
# Of an operation that another run started, and whose limit is not known: as RuntimeMaxSec of
# gpuhost-resume@.service.
UNKNOWN_LIMIT_SECONDS = 24 * 3600
# A server that reboots is back within this time. After it, following stops.
RECONNECT_SECONDS = 600
RECONNECT_PAUSE = 3.0
# systemd resumes an interrupted release within seconds, or at boot as soon as the engine runs.
RESUMED_WITHIN_SECONDS = 120


class FollowError(Exception):
    """Why following stops; the release itself continues on the host."""


@dataclass(frozen=True)
class FollowTarget:
    """Which log to follow.

    + id: of a release; for a restore the name of the backup, which is where its log is
    + kind: "release", "rollback", "restore"
    + limit_s: after this time the host ends it. Another operation may come first
    """

    app: str
    id: str
    kind: str
    host: str
    limit_s: int = UNKNOWN_LIMIT_SECONDS

    @property
    def home(self) -> str:
        return f"{APPS}/{self.app}"

    @property
    def unit(self) -> str:
        return release_unit(self.app)


@dataclass(frozen=True)
class Poll:
    """state: running, ended, or lost (interrupted, and not resumed yet).

    + first: another operation that the host finishes or undoes before
    """

    state: str
    offset: int
    result: Result | None
    holder: Operation | None
    lines: tuple[str, ...]
    first: Operation | None = None


class LogFollower:
    """Follows one log.

    + notify: called with a line when the connection is lost or restored, and when the host first
      finishes another operation
    + patience: seconds to wait for a lost connection
    """

    def __init__(
        self,
        connection: Connection,
        target: FollowTarget,
        notify: Callable[[str], None],
        *,
        patience: float,
    ) -> None:
        self._connection, self._target, self._notify = connection, target, notify
        self._patience = patience
        self._offset = 0
        self._interrupted_at: float | None = None
        self._announced: str | None = None

    def until_end(self) -> Iterator[Poll]:
        """Every poll; the last one has the state `ended`. Raises FollowError."""
        limit = self._target.limit_s
        end = time.monotonic() + 2 * limit + self._patience
        while True:
            poll = self.poll(WAIT_SECONDS)
            if poll.first:
                self._announce(poll.first)
            yield poll
            if poll.state == "ended":
                return
            if time.monotonic() > end:
                raise FollowError(f"it has not ended within {2 * limit} s: following stops")
            if poll.state == "lost":
                self._wait_for_resume(poll)
            else:
                self._interrupted_at = None
            gevent.sleep(PAUSE_SECONDS)

    def available(self) -> Iterator[Poll]:
        """What the log holds at present. Raises FollowError."""
        before, end = None, time.monotonic() + AVAILABLE_SECONDS
        while before != self._offset:
            if time.monotonic() > end:
                raise FollowError(f"its log did not end within {AVAILABLE_SECONDS} s")
            before = self._offset
            yield self.poll(0)

    def poll(self, wait: int) -> Poll:
        """What was written since the last poll; reconnects if the connection was lost.

        + wait: seconds that the host waits for new lines

        Raises FollowError.
        """
        lost_at: float | None = None
        while True:
            try:
                poll = self._poll(wait)
            except (ConnectionLost, CommandFailed) as error:
                lost_at = self._retry(lost_at, error)
                continue
            if lost_at is not None:
                self._notify("reconnected")
            self._offset = poll.offset
            return poll

    def _poll(self, wait: int) -> Poll:
        target = self._target
        lines = self._connection.run(
            "python3", "-I", f"{target.home}/runner.pyz", "follow", target.home,
            target.id, self._offset, wait, seconds=wait + ROUND_TRIP_SECONDS,
        )  # fmt: skip
        try:
            first_line, *log = without_greeting(lines)
            answer = host_json.parse(first_line)
            result = safe(Result.lenient(answer["result"])) if answer["result"] else None
            holder = safe(Operation.lenient(answer["holder"])) if answer["holder"] else None
            state, offset = STATES[answer["state"]], int(answer["offset"])
            is_other = state == "lost" and holder is not None and holder.id != target.id
            first = holder if is_other else None
            return Poll(state, offset, result, holder, tuple(log), first)
        except (LookupError, ValueError, TypeError, OverflowError):
            # A login banner, part of an answer, or nothing.
            reason = f"unexpected answer: {readable(lines[0])}" if lines else ""
            raise ConnectionLost(reason) from None

    def _retry(self, lost_at: float | None, error: Exception) -> float:
        """Wait, reconnect, and return the time of the last answer. Raises FollowError."""
        now = time.monotonic()
        lost_at = now if lost_at is None else lost_at
        host = self._target.host
        if now - lost_at >= self._patience:
            waited = f" for {self._patience:g} s" if self._patience else ""
            reason = f": {error}" if str(error) else ""
            raise FollowError(f"no answer from {host}{waited}{reason}") from error
        if lost_at == now:
            self._notify(
                f"no answer; the {self._target.kind} continues on {host}; retrying for "
                f"{self._patience:g} s"
            )
        gevent.sleep(RECONNECT_PAUSE)
        if isinstance(error, ConnectionLost):
            self._connection.reconnect()
        return lost_at

    def _announce(self, first: Operation) -> None:
        if self._announced != first.id:
            self._announced = first.id
            self._notify(f"the host first finishes or undoes an interrupted {first.sentence}")

    def _wait_for_resume(self, poll: Poll) -> None:
        """Nothing runs: systemd resumes it soon, or the host first finishes another operation."""
        now = time.monotonic()
        self._interrupted_at = self._interrupted_at or now
        if self._unit_is_active():
            self._interrupted_at = now
        elif now - self._interrupted_at > RESUMED_WITHIN_SECONDS or not (
            poll.holder or self._offset
        ):
            raise FollowError(self._reason_without_result())

    def _unit_is_active(self) -> bool:
        resume = resume_unit(self._target.app)
        units = (self._target.unit, resume)
        states = self._output("systemctl", "show", "--property=ActiveState", "--value", *units)
        return any(state in ("active", "activating", "deactivating") for state in states)

    def _reason_without_result(self) -> str:
        """The last lines that the runner printed to systemd's journal; they hold no secret."""
        journal = self._output(
            "journalctl", "--no-pager", "--output=cat", "--lines=5", "--since=-10min",
            f"--unit={self._target.unit}",
        )  # fmt: skip
        last_lines = "; ".join(map(readable, journal))
        message = f"the {self._target.kind} ended without a result"
        return f"{message}: {last_lines}" if last_lines else message

    def _output(self, *words: str) -> list[str]:
        try:
            return self._connection.run(*words, seconds=ROUND_TRIP_SECONDS)
        except (ConnectionLost, CommandFailed):
            return []
