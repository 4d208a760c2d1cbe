"""A container's health check, as `docker inspect` describes it: the test, and what it answered."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from typing import Any

from gpuhost.runner.lib.log import Log

# Docker's defaults; 0 in a health check means the default.
INTERVAL_S = 30.0
TIMEOUT_S = 30.0
# The exit status of a test that the engine could not start, or stopped after its timeout.
NO_EXIT = -1
SHOWN = 200
# 2026-11-29T23:47:53.158374648Z, or with the engine's time zone.
TIME = re.compile(r"(\d{4}-\d\d-\d\dT\d\d:\d\d:\d\d)(\.\d+)?(?:Z|([+-])(\d\d):(\d\d))")
NO_PROGRAM = re.compile(r"executable file not found|no such file or directory|: not found$")
# curl prints how long it tried: the same answer each time, with another number.
DURATION = re.compile(r"\bafter \d+ ms\b")


@dataclass(frozen=True)
class Answer:
    """One run of a health test.

    + began, ended: epoch seconds
    + status: its exit status
    + output: the last line of its output
    """

    began: float
    ended: float
    status: int
    output: str

    @property
    def is_missing_program(self) -> bool:
        return self.status in (NO_EXIT, 126, 127) and bool(NO_PROGRAM.search(self.output))

    @property
    def is_timeout(self) -> bool:
        return self.status == NO_EXIT and "timeout" in self.output

    def is_like(self, other: Answer) -> bool:
        """Whether both say the same."""
        texts = {DURATION.sub("", answer.output) for answer in (self, other)}
        return self.status == other.status and len(texts) == 1

    def in_words(self, log: Log) -> str:
        """+ log: masks the output"""
        text = log.beginning(self.output, SHOWN)
        if self.status == NO_EXIT:
            return text or "none"
        return f"{text or 'no output'} (exit {self.status})"


@dataclass(frozen=True)
class HealthCheck:
    """A health check and its last answers.

    + test: the command inside the container
    + start_interval_s: instead of interval_s during start_period_s; 0: the engine or the check has
      none
    + answers: at most five, the oldest first
    """

    test: tuple[str, ...]
    interval_s: float = INTERVAL_S
    timeout_s: float = TIMEOUT_S
    start_period_s: float = 0.0
    start_interval_s: float = 0.0
    answers: tuple[Answer, ...] = ()

    def next_in_s(self, started: str, now: float) -> float:
        """Seconds until the engine runs the test again; negative: it is due.

        + started: when the container was started, in Docker's format
        """
        began = epoch(started)
        last = max([began, *(answer.ended for answer in self.answers)])
        is_starting = now - began < self.start_period_s
        interval = self.start_interval_s if is_starting else 0.0
        return last + (interval or self.interval_s) - now


def read_health_check(config: Mapping[str, Any], state: Mapping[str, Any]) -> HealthCheck | None:
    """From `Config` and `State` of a container; None without a health check."""
    value = config.get("Healthcheck") or {}
    test = _test(value.get("Test") or (), config.get("Shell") or ("/bin/sh", "-c"))
    if not test:
        return None
    log = (state.get("Health") or {}).get("Log") or ()
    return HealthCheck(
        test,
        interval_s=_seconds(value, "Interval") or INTERVAL_S,
        timeout_s=_seconds(value, "Timeout") or TIMEOUT_S,
        start_period_s=_seconds(value, "StartPeriod"),
        start_interval_s=_seconds(value, "StartInterval"),
        answers=tuple(map(_answer, log)),
    )


def same_at_the_end(answers: Iterable[Answer]) -> int:
    """How many answers at the end say the same."""
    newest_first = tuple(answers)[::-1]
    alike = [answer.is_like(newest_first[0]) for answer in newest_first]
    return alike.index(False) if False in alike else len(alike)


def last_line(output: str) -> str:
    """The last line that is not empty. A progress bar overwrites itself: its last state counts."""
    lines = [line.strip() for line in re.split(r"[\r\n]+", output)]
    return next((line for line in reversed(lines) if line), "")


def epoch(text: str) -> float:
    """A time in Docker's format as epoch seconds; 0 if there is none."""
    matched = TIME.match(text)
    if matched is None:
        return 0.0
    whole, fraction, sign, hours, minutes = matched.groups()
    offset = timedelta(hours=int(hours or 0), minutes=int(minutes or 0))
    try:
        zone = timezone(-offset if sign == "-" else offset)
        moment = datetime.strptime(whole, "%Y-%m-%dT%H:%M:%S").replace(tzinfo=zone)
    except ValueError:
        return 0.0
    return max(0.0, moment.timestamp() + float(fraction or 0))


def _test(words: Iterable[str], shell: Iterable[str]) -> tuple[str, ...]:
    """The command; () for `NONE`."""
    kind, *rest = tuple(words) or ("NONE",)
    if kind == "CMD-SHELL":
        return (*shell, *rest[:1]) if rest else ()
    return tuple(rest) if kind == "CMD" else ()


def _answer(value: Mapping[str, Any]) -> Answer:
    status, output = int(value.get("ExitCode", NO_EXIT)), value.get("Output") or ""
    # The engine's own message comes before the output of the test.
    line = output.partition("\n")[0] if status == NO_EXIT else last_line(output)
    return Answer(epoch(value.get("Start") or ""), epoch(value.get("End") or ""), status, line)


def _seconds(value: Mapping[str, Any], key: str) -> float:
    """Docker's durations are in nanoseconds."""
    return float(value.get(key) or 0) / 1e9
