"""From what a failing tool printed to what it means and what a person does about it."""

from __future__ import annotations

import re
from collections.abc import Iterable

from gpuhost.runner.failures.known_failures import KNOWN
from gpuhost.runner.failures.signature import Signature

# What tools begin the line with that says why they give up.
TELLING = re.compile(r"^(?:ERROR|Error|error|fatal|E|Err|FAILED)\b\s*:|Error response from daemon")


def cause(
    lines: Iterable[str], status: int | None, known: tuple[Signature, ...] = KNOWN
) -> tuple[str, str]:
    """What it means and what to do; for a text that is not known the tool's own words, and "".

    + lines: what the failing tool printed
    + status: how it ended; None: it took too long and was stopped
    + known: the signatures to try, the more telling ones first
    """
    printed = [line.strip() for line in lines if line.strip()]
    exit_line = [] if status in (None, 0, 1) else [f"exit code: {status}"]
    for signature in known:
        for line in (*printed, *exit_line):
            if meaning := signature.match(line):
                return meaning
    if status is None:
        return "it took too long and was stopped", ""
    return _own_words(printed) or f"exit {status}", ""


def _own_words(lines: list[str]) -> str:
    telling = [line for line in lines if TELLING.search(line)]
    return (telling or lines or [""])[-1]
