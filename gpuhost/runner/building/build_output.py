"""Finds the failed step in BuildKit's plain progress output."""

from __future__ import annotations

import re
from dataclasses import dataclass

STEP_LINE = re.compile(r"^#(?P<step>\d+) (?:\d+\.\d+ )?(?P<text>.*)$")
FAILED = re.compile(r"^#(?P<step>\d+) ERROR: (?P<text>.*)$")
TITLE = re.compile(r"^\[.*\] ")
ERROR = re.compile(r"^(?:ERROR|.*failed to solve|target \S+: |failed to )")
EXIT = re.compile(r"exit code: (\d+)")
LINES = 24


@dataclass(frozen=True)
class FailedStep:
    """The failed step.

    + title: "[app 3/5] RUN make"; "" if the failure is not in a step
    + lines: the last lines of the step, and BuildKit's error lines
    + status: exit status of the step's command; None: unknown
    """

    title: str
    lines: tuple[str, ...]
    status: int | None


def failed_step(output: str) -> FailedStep:
    """The failed step of a failed build."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    errors = [match for line in lines if (match := FAILED.match(line))]
    number = errors[0]["step"] if errors else ""
    own = [match["text"] for line in lines if (match := STEP_LINE.match(line))
            and match["step"] == number]  # fmt: skip
    ends = [line for line in lines if not line.startswith("#") and ERROR.match(line)]
    kept = dict.fromkeys([*own[-LINES:], *ends[-3:]] if own or ends else lines[-LINES:])
    exits = EXIT.findall("\n".join([*(error["text"] for error in errors), *ends]))
    title = next((line for line in own if TITLE.match(line)), "")
    return FailedStep(title, tuple(kept), int(exits[-1]) if exits else None)
