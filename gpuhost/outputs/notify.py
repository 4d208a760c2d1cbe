"""Telling people, through apprise, that something has changed. A URL holds a token: no word of one
is in anything that is said here but the name of its service.
"""

from __future__ import annotations

import json
import re
import subprocess
import sys
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import gpuhost.drift
from gpuhost.drift.report import DriftReport
from gpuhost.drift.since import Since
from gpuhost.outputs.drift import change_in_words, changes_in_words, counts

SECONDS = 30
LINES = 20
# Where the package is, whether installed or a checkout.
ROOT = Path(gpuhost.drift.__file__).parents[2]
ANSWER = re.compile(r"(\d+) ok", re.ASCII)


@dataclass(frozen=True)
class Message:
    """type: apprise's, which some services show as a colour."""

    title: str
    body: str
    type: str


def message(report: DriftReport, changes: Since) -> Message:
    """Hosts, ids and kinds, and nothing else of what was found: it goes to somebody's chat."""
    found = [
        f"{word} {change_in_words(one)}"
        for word, some in (("new", changes.new), ("gone", changes.gone))
        for one in some
    ]
    more = [f"and {len(found) - LINES} more"] if len(found) > LINES else []
    return Message(
        f"gpuhost drift: {changes_in_words(changes)}",
        "\n".join([*found[:LINES], *more, "", counts(report)]),
        "warning" if changes.new else "success",
    )


def unusable(urls: Sequence[str], seconds: float = SECONDS) -> list[int]:
    """The places of those that apprise knows no service for, or that lack a part."""
    good = _asked(urls, None, seconds)
    return [place for place in range(len(urls)) if place not in good]


def send(urls: Sequence[str], told: Message, seconds: float = SECONDS) -> list[str]:
    """Send it to all at once; the services that did not take it, by the scheme of their URL.

    + urls: usable ones
    + seconds: for all of them
    """
    good = _asked(urls, vars(told), seconds)
    return [scheme(url) for place, url in enumerate(urls) if place not in good]


def scheme(url: str) -> str:
    """ "mailto" of "mailto://user:password@example.com"."""
    return url.partition("://")[0].strip().lower()


def _asked(urls: Sequence[str], told: dict[str, Any] | None, seconds: float) -> set[int]:
    """Which of them did as they were asked to. See notifier."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuhost.outputs.notifier"],
        # The first place in which Python looks for modules; a person's own directory may have
        # any names in it.
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    # Not in the argument list, which everybody sees.
    request = json.dumps({"urls": list(urls), "message": told})
    try:
        answers, _ = process.communicate(request, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        answers, _ = process.communicate()
    finally:
        process.kill()
    return {int(found[1]) for found in map(ANSWER.fullmatch, answers.splitlines()) if found}
