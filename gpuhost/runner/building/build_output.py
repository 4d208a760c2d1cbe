"""What BuildKit prints in plain progress: the step that failed, and its last lines."""

from __future__ import annotations

import re
from dataclasses import dataclass

STEP_LINE = re.compile(r"^#(?P<step>\d+) (?:\d+\.\d+ )?(?P<said>.*)$")
FAILED = re.compile(r"^#(?P<step>\d+) ERROR: (?P<said>.*)$")
TITLE = re.compile(r"^\[.*\] ")
LAST = re.compile(r"^(?:ERROR|.*failed to solve|target \S+: |failed to )")
EXIT = re.compile(r"exit code: (\d+)")
LINES = 24


@dataclass(frozen=True)
class FailedStep:
    """What failed.

    + title: "[app 3/5] RUN make"; "" where it failed outside of a step
    + lines: the last ones of that step and the builder's own error lines
    + status: of the step's command; None: the step has none
    """

    title: str
    lines: tuple[str, ...]
    status: int | None


def failed_step(output: str) -> FailedStep:
    """The step that failed in the output of a build that failed."""
    lines = [line.rstrip() for line in output.splitlines() if line.strip()]
    errors = [found for line in lines if (found := FAILED.match(line))]
    number = errors[0]["step"] if errors else ""
    own = [found["said"] for line in lines if (found := STEP_LINE.match(line))
            and found["step"] == number]  # fmt: skip
    ends = [line for line in lines if not line.startswith("#") and LAST.match(line)]
    kept = dict.fromkeys([*own[-LINES:], *ends[-3:]] if own or ends else lines[-LINES:])
    exits = EXIT.findall("\n".join([*(error["said"] for error in errors), *ends]))
    title = next((line for line in own if TITLE.match(line)), "")
    return FailedStep(title, tuple(kept), int(exits[-1]) if exits else None)
