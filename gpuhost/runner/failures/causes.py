"""Explains what a failing tool printed."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhost.runner.failures.known_failures import KNOWN
from gpuhost.runner.failures.signature import Signature

# The beginning of a line with the reason of a failure.
REASON = re.compile(r"^(?:ERROR|Error|error|fatal|E|Err|FAILED)\b\s*:|Error response from daemon")


def cause(
    lines: Iterable[str], status: int | None, known: tuple[Signature, ...] = KNOWN
) -> tuple[str, str]:
    """What the failure means, and its fix; for an unknown failure the tool's own text, and "".

    + lines: the output of the tool
    + status: its exit status; None: it took too long and was stopped
    + known: the first match decides
    """
    printed = [line.strip() for line in lines if line.strip()]
    exit_line = [] if status in (None, 0, 1) else [f"exit code: {status}"]
    for signature in known:
        for line in (*printed, *exit_line):
            if meaning := signature.match(line):
                return meaning
    if status is None:
        return "it took too long and was stopped", ""
    return _reason(printed) or f"exit {status}", ""


def _reason(lines: list[str]) -> str:
    reasons = [line for line in lines if REASON.search(line)]
    return (reasons or lines or [""])[-1]
