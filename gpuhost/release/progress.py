"""The stages of a release as its log tells them: one line for each that is done, with its time."""

from __future__ import annotations

import re
import time
from collections.abc import Callable, Iterable

from gpuhost.outputs.table import plain
from gpuhost.runner.contract import STAGE

LINE = re.compile(r"(\d\d):(\d\d):(\d\d) (.*)")
FAILED = re.compile(r"FAILED in ")
# Colours and cursor movements of the tools whose words are in the log.
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
DAY = 86400
# A stage that goes on is heard of so often.
STILL_SECONDS = 15
NAME_WIDTH = 12
LONGEST = 100


def readable(text: str) -> str:
    """A host's words on one terminal line."""
    words = ESCAPES.sub("", text).replace("\t", "    ")
    # A progress bar writes over itself: what stands there in the end is what counts.
    return plain(words.rstrip("\r").rpartition("\r")[2])


def duration(seconds: float) -> str:
    """
    >>> duration(41.2), duration(135)
    ('41 s', '2 min 15 s')
    """
    whole = max(0, round(seconds))
    return f"{whole} s" if whole < 100 else f"{whole // 60} min {whole % 60:02d} s"


class Progress:
    """Reads a release's log, and says what a person who waits wants to know.

    + say: is given a line
    + warn: is given a line about what failed
    """

    def __init__(
        self,
        say: Callable[[str], None],
        warn: Callable[[str], None],
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._say, self._warn, self._clock = say, warn, clock
        self._stage = ""
        # Of the host's clock, in the log: how long a stage took is not how long it was watched.
        self._began = self._latest = 0
        self._seen = self._said = clock()
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
            elif FAILED.match(text):
                self._failed()
            elif text.strip():
                self._last = readable(text)

    def still(self) -> None:
        """Say what goes on, if that was not said for a while."""
        now = self._clock()
        if not self._stage or now - self._said < STILL_SECONDS:
            return
        self._said = now
        last = self._last if len(self._last) <= LONGEST else f"{self._last[:LONGEST]}…"
        self._say(f"{self._head()} {duration(now - self._seen)} …  {last}".rstrip())

    def end(self) -> None:
        """The log is at its end."""
        self._done()

    def _start(self, stage: str) -> None:
        self._stage, self._began, self._last = readable(stage), self._latest, ""
        self._seen = self._said = self._clock()

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
        # A release may go on over midnight; a clock that was set back tells nothing.
        took = (self._latest - self._began) % DAY
        return took if took < DAY // 2 else 0
