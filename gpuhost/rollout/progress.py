"""The stages of a release, from its log: one line per stage, with its duration."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from gpuhost.domain.plain_text import cut, plain, without_escapes
from gpuhost.runner.contract import STAGE, STAGE_FAILED

LINE = re.compile(r"(\d\d):(\d\d):(\d\d) (.*)")
DAY = 86400
# How often a running stage is shown.
RUNNING_SECONDS = 15
NAME_WIDTH = 12
MAX_LENGTH = 100


def readable(text: str) -> str:
    """Output of a host as one terminal line."""
    words = without_escapes(text).replace("\t", "    ")
    # A progress bar overwrites itself: only its last state counts.
    return plain(cut(words.rstrip("\r").rpartition("\r")[2]))


def duration(seconds: float) -> str:
    """
    >>> duration(41.2), duration(135)
    ('41 s', '2 min 15 s')
    """
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Reads a release's log and shows its stages.

    + say: called with each line
    + warn: called with the lines about failures
    """

    def __init__(
        self,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._warn, self._clock = say, warn, clock
        self._stage = ""
        # Times of the host's clock, from the log: a stage may have started before it was watched.
        self._started = self._latest = 0
        self._stage_seen_at = self._shown_at = clock()
        self._last = ""

    def read(self, lines: Iterable[str]) -> None:
        """More of the log, line by line."""
        for line in lines:
            matched = LINE.match(line)
            if not matched:
                continue
            hours, minutes, seconds, text = matched.groups()
            self._latest = int(hours) * 3600 + int(minutes) * 60 + int(seconds)
            if text.startswith(STAGE):
                self._done()
                self._start(text.removeprefix(STAGE))
            elif text.startswith(STAGE_FAILED):
                self._failed()
            elif text.strip():
                self._last = readable(text)

    def show_running(self) -> None:
        """Show the running stage again, every RUNNING_SECONDS."""
        now = self._clock()
        if not self._stage or now - self._shown_at < RUNNING_SECONDS:
            return
        self._shown_at = now
        last = self._last if len(self._last) <= MAX_LENGTH else f"{self._last[:MAX_LENGTH]}…"
        self._say(f"{self._head()} {duration(now - self._stage_seen_at)} …  {last}".rstrip())

    def end(self) -> None:
        """The log is at its end."""
        self._done()

    def _start(self, stage: str) -> None:
        self._stage, self._started, self._last = readable(stage), self._latest, ""
        self._stage_seen_at = self._shown_at = self._clock()

    def _done(self) -> None:
        if self._stage:
            self._say(f"{self._head()} {duration(self._took())}")
        self._stage = ""

    def _failed(self) -> None:
        if self._stage:
            self._warn(f"{self._head()} failed after {duration(self._took())}")
        self._stage = ""

    def _head(self) -> str:
        return f"  {self._stage:<{NAME_WIDTH}}"

    def _took(self) -> float:
        # A release may run past midnight; if the clock was set back, the duration is unknown.
        took = (self._latest - self._started) % DAY
        return took if took < DAY // 2 else 0
