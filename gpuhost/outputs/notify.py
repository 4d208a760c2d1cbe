"""Notifications of what has changed, through apprise. A URL contains a token: messages show no part
of it except the name of its service.
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
from gpuhost.drift.since import Changes
from gpuhost.outputs.drift import describe_change, summarize_changes, summarize_hosts

SECONDS = 30
LINES = 20
# The directory of the package, installed or a checkout.
ROOT = Path(gpuhost.drift.__file__).parents[2]
LOOK_ALIKE = str.maketrans("<>@&*`[]~|#", "‹›＠＆∗ˋ［］∼¦♯")
ANSWER = re.compile(r"(\d+) ok", re.ASCII)


@dataclass(frozen=True)
class Message:
    """type: of apprise; some services show it as a colour."""

    title: str
    body: str
    type: str


def message(report: DriftReport, changes: Changes) -> Message:
    """Hosts, ids and kinds, but no values: it goes to a chat."""
    lines = [
        f"{word} {_literal(describe_change(one))}"
        for word, part in (("new", changes.new), ("gone", changes.gone))
        for one in part
    ]
    more = [f"and {len(lines) - LINES} more"] if len(lines) > LINES else []
    return Message(
        f"gpuhost drift: {summarize_changes(changes)}",
        "\n".join([*lines[:LINES], *more, "", summarize_hosts(report)]),
        "warning" if changes.new else "success",
    )


def _literal(text: str) -> str:
    """Without mentions and markup of Slack, DingTalk, Feishu, Markdown and HTML: `<!channel>`,
    `@all`, `[text](address)`. Characters that look alike replace them.
    """
    return text.translate(LOOK_ALIKE)


def unusable(urls: Sequence[str], seconds: float = SECONDS) -> list[int]:
    """The indexes of URLs whose service apprise does not know, or that are incomplete."""
    good = _call_notifier(urls, None, seconds)
    return [index for index in range(len(urls)) if index not in good]


def send(urls: Sequence[str], message: Message, seconds: float = SECONDS) -> list[str]:
    """Send it to all at once. Returns the services that failed, by the scheme of their URL.

    + urls: usable ones
    + seconds: for all of them together
    """
    good = _call_notifier(urls, vars(message), seconds)
    return [scheme(url) for index, url in enumerate(urls) if index not in good]


def scheme(url: str) -> str:
    """ "mailto" of "mailto://user:password@example.com"."""
    return url.partition("://")[0].strip().lower()


def _call_notifier(urls: Sequence[str], message: dict[str, Any] | None, seconds: float) -> set[int]:
    """The indexes of the URLs that succeeded. See notifier."""
    process = subprocess.Popen(
        [sys.executable, "-m", "gpuhost.outputs.notifier"],
        # Python imports modules from there first; the user's directory may contain any names.
        cwd=ROOT,
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
        text=True,
    )
    # Not as an argument: other users can read arguments.
    request = json.dumps({"urls": list(urls), "message": message})
    try:
        answers, _ = process.communicate(request, timeout=seconds)
    except subprocess.TimeoutExpired:
        process.kill()
        answers, _ = process.communicate()
    finally:
        process.kill()
    matches = map(ANSWER.fullmatch, answers.splitlines())
    return {int(match[1]) for match in matches if match}
