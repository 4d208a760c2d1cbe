"""Finds the failed step in BuildKit's plain progress output, while the output passes."""

from __future__ import annotations

import re
from collections import deque
from dataclasses import dataclass, field

from gpuhost.runner.failures.causes import Cause, explain
from gpuhost.runner.failures.known_failures import OF_BUILDS
from gpuhost.runner.failures.matches import Matches

STEP_LINE = re.compile(r"^#(?P<step>\d+) (?:\d+\.\d+ )?(?P<text>.*)$")
FAILED = re.compile(r"^#(?P<step>\d+) ERROR: (?P<text>.*)$")
ENDED = re.compile(r"^#(?P<step>\d+) (?:DONE \S+|CACHED|CANCELED)$")
TITLE = re.compile(r"^\[.*\] ")
COPIES = re.compile(r"^\[[^\]]*\] (?:COPY|ADD) ")
ERROR = re.compile(r"^(?:ERROR|.*failed to solve|target \S+: |failed to )")
EXIT = re.compile(r"exit code: (\d+)")
# BuildKit repeats the command of a step in each of its own errors.
COMMAND = re.compile(r'process ".*" did not complete successfully')
# The first line of the excerpt of the Dockerfile, after its frame.
PLACE = re.compile(r"^\S+:\d+$")
FRAME = "------"
LINES = 24
TITLE_LENGTH = 120
# Steps that have not ended, and characters of a line, that are kept.
MOST_STEPS = 500
LONGEST_LINE = 2000


@dataclass(frozen=True)
class FailedStep:
    """The failed step.

    + title: "[app 3/5] RUN make", at most TITLE_LENGTH characters; "" if the failure is not in a
      step
    + place: "Dockerfile:7"; "" if it is not known
    + lines: the last lines of the step, and BuildKit's error lines, without the step's command
    + status: exit status of the step's command; None: unknown
    + cause: what the failure means
    """

    title: str
    place: str
    lines: tuple[str, ...]
    status: int | None
    cause: Cause


@dataclass
class _Step:
    """A step that has not ended: what a failure may need of its output."""

    title: str = ""
    lines: deque[str] = field(default_factory=lambda: deque(maxlen=LINES))
    matches: Matches = field(default_factory=lambda: Matches(OF_BUILDS))

    def read(self, text: str) -> None:
        if not self.title and TITLE.match(text):
            self.title = text[:LONGEST_LINE]
        elif text[:LONGEST_LINE] != self.title:  # it is repeated when two steps alternate
            for part in text.split("\r")[-LINES:]:
                self.lines.append(part[:LONGEST_LINE])
                self.matches.read_earlier(part[:LONGEST_LINE])


class BuildOutput:
    """The output of a build, of any length: the last lines and known failures of each open step."""

    def __init__(self) -> None:
        self._steps: dict[str, _Step] = {}
        self._failed: str | None = None
        self._error = ""
        self._ends: deque[str] = deque(maxlen=3)
        self._last: deque[str] = deque(maxlen=LINES)
        self._before = self._place = ""

    def read(self, line: str) -> None:
        """The next line. What a build prints may have carriage returns, and then looks like more
        lines; a line of BuildKit itself has none.
        """
        line = line.rstrip()
        if not line:
            return
        self._last.append(line[:LONGEST_LINE])
        if failed := FAILED.match(line):
            self._fail(failed["step"], failed["text"][:LONGEST_LINE])
        elif ended := ENDED.match(line):
            self._end(ended["step"])
        elif own := STEP_LINE.match(line):
            self._step(own["step"]).read(own["text"])
        elif ERROR.match(line):
            self._ends.append(line[:LONGEST_LINE])
        elif self._before == FRAME and PLACE.match(line):
            self._place = line
        self._before = line

    def failed_step(self) -> FailedStep:
        """What failed, once the build has ended."""
        step = self._steps.get(self._failed or "", _Step())
        is_repeated = not self._error or any(self._error in end for end in self._ends)
        errors = [*([] if is_repeated else [f"ERROR: {self._error}"]), *self._ends]
        shown = [*step.lines, *_without_command(errors)] if self._failed or errors else self._last
        exits = EXIT.findall("\n".join(errors))
        status = int(exits[-1]) if exits else None
        # What was copied from where is in the title only.
        title = f"{step.title}: {self._error}" if COPIES.match(step.title) else ""
        found = explain((title, *shown), status or 1, step.matches)
        lines = _with_evidence(tuple(dict.fromkeys(shown)), found.line if not title else "")
        return FailedStep(_shorten(step.title), self._place, lines, status, found)

    def _step(self, number: str) -> _Step:
        if number not in self._steps:
            if len(self._steps) >= MOST_STEPS:
                del self._steps[next(each for each in self._steps if each != self._failed)]
            self._steps[number] = _Step()
        return self._steps[number]

    def _fail(self, number: str, error: str) -> None:
        if self._failed is None:
            self._failed, self._error = number, error
            self._steps.setdefault(number, _Step())

    def _end(self, number: str) -> None:
        if number != self._failed:
            self._steps.pop(number, None)


def _without_command(errors: list[str]) -> list[str]:
    """The exit status once, and BuildKit's other errors."""
    ends = [EXIT.search(error) for error in errors if COMMAND.search(error)]
    status = next(([end[0]] for end in ends if end), [])
    return [*(error for error in errors if not COMMAND.search(error)), *status]


def _with_evidence(lines: tuple[str, ...], evidence: str) -> tuple[str, ...]:
    """The line that shows the cause is first, if it is not among the last ones."""
    shown = not evidence or any(evidence in line for line in lines)
    return lines if shown else (evidence, "…", *lines)


def _shorten(title: str) -> str:
    return title if len(title) <= TITLE_LENGTH else f"{title[:TITLE_LENGTH]}…"
