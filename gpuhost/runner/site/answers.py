"""Compares an answer with what the app file expects."""

from __future__ import annotations

import json
from typing import Any

from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Expect
from gpuhost.runner.site.http import Answer

ANYTHING = "*"
# Characters of an answer.
SHOWN = 300


def mismatch(answer: Answer, expect: Expect, log: Log) -> str | None:
    """The first difference, in words, or None. + log: masks what is shown of the answer"""
    if answer.status != expect.status:
        return f"expected status {expect.status}, got {answer.status}"
    kind = answer.headers.get("content-type", "")
    if not kind.lower().startswith(expect.content_type.lower()):
        got = f'"{log.beginning(kind, SHOWN)}"' if kind else "none"
        return f'expected Content-Type "{expect.content_type}…", got {got}'
    if expect.contains not in answer.text:
        return f'expected "{expect.contains}" in the body'
    if len(answer.body) < expect.least_bytes:
        return f"expected at least {expect.least_bytes} bytes, got {len(answer.body)}"
    return _json_mismatch(answer, expect.json, log) if expect.json else None


def _json_mismatch(answer: Answer, expected: dict[str, str], log: Log) -> str | None:
    try:
        document = json.loads(answer.body)
    except (ValueError, RecursionError):
        return "expected a JSON body"
    for path, text in expected.items():
        value = at(document, path)
        if text == ANYTHING:
            if value is None:
                return f"expected {path} in the JSON body"
        elif spelled(value) != text:
            return f'expected {path} to be "{text}", got {_shown(value, log)}'
    return None


def at(document: Any, path: str) -> Any:
    """The value at a dotted path, "data.files.0.url", or None."""
    for step in path.split("."):
        if isinstance(document, dict):
            document = document.get(step)
        elif isinstance(document, list) and step.isdigit() and int(step) < len(document):
            document = document[int(step)]
        else:
            return None
    return document


def spelled(value: Any) -> str:
    """A value as in an app file: text without quotes, everything else as JSON."""
    return value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)


def beginning(answer: Answer, log: Log) -> str:
    """The first characters of the body, on one line."""
    return " ".join(log.beginning(answer.text, SHOWN).split())


def _shown(value: Any, log: Log) -> str:
    return "nothing" if value is None else f'"{log.beginning(spelled(value), SHOWN)}"'
