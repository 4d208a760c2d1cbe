"""Explains what a failing tool printed."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.runner.failures.known_failures import KNOWN
from gpuhost.runner.failures.matches import Match, Matches
from gpuhost.runner.failures.signature import Signature

# The beginning of a line with the reason of a failure.
REASON = re.compile(r"^(?:ERROR|Error|error|fatal|E|Err|FAILED)\b\s*:|Error response from daemon")


@dataclass(frozen=True)
class Cause:
    """What a failure means.

    + fix: "" for an unknown failure
    + line: the line that shows it; "" for an unknown failure
    """

    said: str
    fix: str = ""
    line: str = ""


def cause(
    lines: Iterable[str], status: int | None, known: tuple[Signature, ...] = KNOWN
) -> tuple[str, str]:
    """What the failure means, and its fix; for an unknown failure the tool's own text, and "".

    + lines: the output of the tool
    + status: its exit status; None: it took too long and was stopped
    + known: the first match decides
    """
    found = explain(lines, status, Matches(known))
    return found.said, found.fix


def explain(last_lines: Iterable[str], status: int | None, output: Matches) -> Cause:
    """The cause, from the last lines if they show it, otherwise from all of the output.

    A tool may print its reason long before its end, and at the end only the consequence.

    + output: what was found in all of the output
    """
    printed = [line.strip() for line in last_lines if line.strip()]
    exit_line = [] if status in (None, 0, 1) else [f"exit code: {status}"]
    end = Matches(output.known, (*printed, *exit_line))
    strong = end.first(weak=False) or output.first(weak=False)
    if strong:
        consequence = output.first(weak=True) or end.first(weak=True)
        return Cause(_with_consequence(strong, consequence), strong.fix, strong.line)
    if weak := end.first(weak=True) or output.first(weak=True):
        return Cause(weak.meaning, weak.fix, weak.line)
    if status is None:
        return Cause("it took too long and was stopped")
    return Cause(_reason(printed) or f"exit {status}")


def _with_consequence(strong: Match, weak: Match | None) -> str:
    """What followed is said too, unless it is only a quotation, or another reading of the line."""
    if weak is None or not weak.fix or weak.line == strong.line:
        return strong.meaning
    return f"{strong.meaning}; then: {weak.meaning}"


def _reason(lines: list[str]) -> str:
    reasons = [line for line in lines if REASON.search(line)]
    return (reasons or lines or [""])[-1]
