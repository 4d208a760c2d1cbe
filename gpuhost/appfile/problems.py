"""What is wrong in the x-gpuhost block, in words: the key, its value, and what is allowed.

A value is shown only where it cannot be a secret.
"""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from difflib import get_close_matches
from typing import Any

from pydantic import ValidationError
from pydantic_core import ErrorDetails

from gpuhost.appfile import schema
from gpuhost.appfile.document import KeyPath

LONGEST = 60
# Where secrets are named, somebody will write one instead.
NEVER_SHOWN = frozenset(
    (
        *("secrets", "password", "token", "deploy_key", "key", "certificate"),
        *("headers", "body", "environment", "args"),
    )
)


@dataclass(frozen=True)
class Problem:
    """place: in the file, x-gpuhost included."""

    place: KeyPath
    said: str


def problems_of(error: ValidationError, block: Any) -> Iterator[Problem]:
    """One for each key: the alternatives of a type complain one by one."""
    seen: set[KeyPath] = set()
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            # Items that are wrong count as none; each complains by itself.
            continue
        place = detail["loc"]
        is_key = bool(place) and place[-1] == "[key]"
        place = place[:-1] if is_key else place
        if place not in seen:
            seen.add(place)
            said = _of_key(place, detail) if is_key else _of_value(place, detail, block)
            yield Problem((schema.KEY, *place), said)


def _of_value(place: KeyPath, detail: ErrorDetails, block: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return f"{key_name(place)}: {_unknown(place)}"
    if detail["type"] == "missing":
        meaning = schema.resolved(schema.at(place) or {}).get("description", "")
        return f"{key_name(place)} is missing: {meaning.rstrip('.')}"
    said = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        said = _in_quotes(detail, schema.describe(schema.at(place) or {}))
    value = _value_at(block, place)
    if isinstance(value, dict) and detail["type"] == "value_error":
        # It is about several keys together.
        return f"{key_name(place)}: {said}"
    return f"{key_name(place)} = {shown(place, value)}: {said}"


def _of_key(place: KeyPath, detail: ErrorDetails) -> str:
    said = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        holder = schema.resolved(schema.at(place[:-1]) or {})
        said = schema.describe(holder.get("propertyNames", {}))
    return f"{key_name(place)}: the name has to be {said}"


def _in_quotes(detail: ErrorDetails, words: str) -> str:
    is_bare = isinstance(detail["input"], bool | int | float)
    if detail["type"] == "string_type" and is_bare and "quotes" not in words:
        return f"{words}, in quotes"
    return words


def _unknown(place: KeyPath) -> str:
    known = list(schema.resolved(schema.at(place[:-1]) or {}).get("properties", {}))
    return "no such key" + suggestion(str(place[-1]), known)


def suggestion(written: str, known: list[str]) -> str:
    """`: did you mean …?`, or what there is."""
    close = get_close_matches(written.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    if close:
        return f": did you mean {close[0]}?"
    return f"; there are {', '.join(known)}" if known else ""


def key_name(place: KeyPath) -> str:
    """`x-gpuhost.verify.steps[2].health`."""
    text = schema.KEY
    for step in place:
        text += f"[{step}]" if isinstance(step, int) else f".{_brief(step)}"
    return text


def shown(place: KeyPath, value: Any) -> str:
    """A value on one line, without secrets."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if NEVER_SHOWN.intersection(place):
        return "***"
    # The login of a URL; and no digits without end.
    text = re.sub(r"(//|^')[^/@\s]*@", r"\1***@", _brief_repr(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _brief_repr(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:
        return "a number of thousands of digits"


def _brief(step: str) -> str:
    text = step if step.isprintable() else repr(step)
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _value_at(block: Any, place: KeyPath) -> Any:
    for step in place:
        try:
            block = block[step]
        except (KeyError, IndexError, TypeError):
            return None
    return block
