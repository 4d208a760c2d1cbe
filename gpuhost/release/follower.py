"""Following what a host carries out by itself, look by look, over connections that may break.

Each look is one bounded command that reads the log from where the last one ended. A connection that
breaks changes nothing on the host: it is made again, and the looking goes on.
"""

from __future__ import annotations

import json
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Protocol

import gevent  # type: ignore[import-untyped]

from gpuhost.release.progress import readable
from gpuhost.runner.contract import APPS, Operation, Result, from_json

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


class Broken(Exception):
    """It did not get there and back. The message says why, if that is known."""


class Refused(Exception):
    """The host answers, and not as it should; the message is what it says."""


class GaveUp(Exception):
    """Why there is no more to see; the host goes on all the same."""


class Reach(Protocol):
    """The way to a host."""

    def ask(self, *words: str | int, seconds: int) -> list[str]:
        """What a command prints. Raises Broken or Refused."""

    def connect_again(self) -> None:
        """A new login. Raises nothing: without one the next question is broken too."""


@dataclass(frozen=True)
class Followed:
    """What is looked at.

    + id: a release's; of a restore the name of the backup, beside which its log is
    + kind: "release", "rollback", "restore"
    """

    app: str
    id: str
    kind: str
    host: str

    @property
    def home(self) -> str:
        return f"{APPS}/{self.app}"

    @property
    def unit(self) -> str:
        return f"gpuhost-release-{self.app}.service"


@dataclass(frozen=True)
class Look:
    """state: running, ended, or lost (cut off, and not taken up again yet)."""

    state: str
    offset: int
    result: Result | None
    holder: Operation | None
    lines: tuple[str, ...]


class Follower:
    """Looks at one host.

    + patience: seconds for a connection to come back
    + told: hears when the connection is lost and back, and what the host does first
    """

    def __init__(
        self, reach: Reach, followed: Followed, told: Callable[[str], None], *, patience: float
    ) -> None:
        self._reach, self._followed, self._told = reach, followed, told
        self._patience = patience
        self._offset = 0
        self._lost_since: float | None = None
        self._told_of: str | None = None

    def to_its_end(self) -> Iterator[Look]:
        """Every look; the last one has ended. Raises GaveUp."""
        while True:
            look = self.look(WAIT_SECONDS)
            yield look
            if look.state == "ended":
                return
            if look.state == "lost":
                self._be_patient(look)
            else:
                self._lost_since = None
            gevent.sleep(PAUSE_SECONDS)

    def as_far_as_it_is(self) -> Iterator[Look]:
        """What has been written by now. Raises GaveUp."""
        before = None
        while before != self._offset:
            before = self._offset
            yield self.look(0)

    def look(self, wait: int) -> Look:
        """What has come since the last look, on a new connection if the old one is gone.

        + wait: seconds that the host waits for more, if there is none

        Raises GaveUp.
        """
        lost_at: float | None = None
        while True:
            try:
                look = self._look(wait)
            except (Broken, Refused) as error:
                lost_at = self._retrying(lost_at, error)
                continue
            if lost_at is not None:
                self._told("the connection is back")
            self._offset = look.offset
            return look

    def _look(self, wait: int) -> Look:
        lines = self._reach.ask(
            "python3", "-I", f"{self._followed.home}/runner.pyz", "follow", self._followed.home,
            self._followed.id, self._offset, wait, seconds=wait + WAY_SECONDS,
        )  # fmt: skip
        try:
            answer = json.loads(lines[0])
            result, holder = answer["result"], answer["holder"]
            return Look(
                str(answer["state"]),
                int(answer["offset"]),
                from_json(Result, result) if result else None,
                from_json(Operation, holder) if holder else None,
                tuple(lines[1:]),
            )
        except (LookupError, ValueError, TypeError):
            # A login's greeting, half an answer, or nothing at all.
            raise Broken(f"it said {readable(lines[0])}" if lines else "") from None

    def _retrying(self, lost_at: float | None, error: Exception) -> float:
        """Since when there is no answer. Raises GaveUp."""
        now = time.monotonic()
        lost_at = now if lost_at is None else lost_at
        host = self._followed.host
        if now - lost_at >= self._patience:
            waited = f" for {self._patience:g} s" if self._patience else ""
            why = f": {error}" if str(error) else ""
            raise GaveUp(f"no answer from {host}{waited}{why}") from error
        if lost_at == now:
            self._told(
                f"no answer; the {self._followed.kind} goes on on {host}, trying again for "
                f"{self._patience:g} s"
            )
        gevent.sleep(RECONNECT_PAUSE)
        if isinstance(error, Broken):
            self._reach.connect_again()
        return lost_at

    def _be_patient(self, look: Look) -> None:
        """Nobody is at it: it is taken up soon, or something else is finished first."""
        other = look.holder if look.holder and look.holder.id != self._followed.id else None
        if other and self._told_of != other.id:
            self._told_of = other.id
            self._told(f"first what was cut off is finished or undone: {other.sentence}")
        now = time.monotonic()
        self._lost_since = self._lost_since or now
        if self._is_at_work():
            self._lost_since = now
        elif now - self._lost_since > RESUMED_WITHIN_SECONDS or not (look.holder or self._offset):
            raise GaveUp(self._why_it_ended())

    def _is_at_work(self) -> bool:
        resume = f"gpuhost-resume@{self._followed.app}.service"
        units = (self._followed.unit, resume)
        shown = self._said("systemctl", "show", "--property=ActiveState", "--value", *units)
        return any(line in ("active", "activating", "deactivating") for line in shown)

    def _why_it_ended(self) -> str:
        """In the runner's own words, which systemd keeps; they hold no secret."""
        journal = self._said(
            "journalctl", "--no-pager", "--output=cat", "--lines=5", "--since=-10min",
            f"--unit={self._followed.unit}",
        )  # fmt: skip
        said = "; ".join(map(readable, journal))
        words = f"the {self._followed.kind} ended without a result"
        return f"{words}: {said}" if said else words

    def _said(self, *words: str) -> list[str]:
        try:
            return self._reach.ask(*words, seconds=WAY_SECONDS)
        except (Broken, Refused):
            return []
