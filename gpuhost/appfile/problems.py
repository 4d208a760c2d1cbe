"""Error messages for x-gpuhost: the key, its value, and what is allowed.

A value is shown only if it cannot be a secret.
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

MAX_LENGTH = 60
# A user may write the secret itself in place of its name.
MASKED = frozenset(
    (
        *("secrets", "password", "token", "deploy_key", "key", "certificate"),
        *("headers", "body", "environment", "args", "variables"),
    )
)


@dataclass(frozen=True)
class Problem:
    """key_path: in the file, x-gpuhost included."""

    key_path: KeyPath
    message: str


def problems_of(error: ValidationError, block: Any) -> Iterator[Problem]:
    """One for each key: pydantic reports every alternative of a type."""
    reported: set[KeyPath] = set()
    for detail in error.errors(include_url=False):
        if detail["type"] == "too_short" and detail["input"]:
            # Invalid items are not counted; each is reported itself.
            continue
        key_path = detail["loc"]
        is_key = bool(key_path) and key_path[-1] == "[key]"
        key_path = key_path[:-1] if is_key else key_path
        if key_path not in reported:
            reported.add(key_path)
            message = _of_key(key_path, detail) if is_key else _of_value(key_path, detail, block)
            yield Problem((schema.KEY, *key_path), message)


def _of_value(key_path: KeyPath, detail: ErrorDetails, block: Any) -> str:
    if detail["type"] == "extra_forbidden":
        return f"{key_name(key_path)}: {_unknown(key_path)}"
    if detail["type"] == "missing":
        meaning = schema.resolved(schema.schema_at(key_path) or {}).get("description", "")
        return f"{key_name(key_path)} is missing: {meaning.rstrip('.')}"
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        message = _in_quotes(detail, schema.describe(schema.schema_at(key_path) or {}))
    value = _value_at(block, key_path)
    if isinstance(value, dict) and detail["type"] == "value_error":
        # It concerns several keys.
        return f"{key_name(key_path)}: {message}"
    return f"{key_name(key_path)} = {shown(key_path, value)}: {message}"


def _of_key(key_path: KeyPath, detail: ErrorDetails) -> str:
    message = detail["msg"].removeprefix("Value error, ")
    if detail["type"] != "value_error":
        holder = schema.resolved(schema.schema_at(key_path[:-1]) or {})
        message = schema.describe(holder.get("propertyNames", {}))
    return f"{key_name(key_path)}: the name must be {message}"


def _in_quotes(detail: ErrorDetails, words: str) -> str:
    is_bare = isinstance(detail["input"], bool | int | float)
    if detail["type"] == "string_type" and is_bare and "quotes" not in words:
        return f"{words}, in quotes"
    return words


def _unknown(key_path: KeyPath) -> str:
    known = list(schema.resolved(schema.schema_at(key_path[:-1]) or {}).get("properties", {}))
    return "unknown key" + suggestion(str(key_path[-1]), known)


def suggestion(written: str, known: list[str]) -> str:
    """`: did you mean …?`, or the known names."""
    close = get_close_matches(written.lower().replace("-", "_"), known, n=1, cutoff=0.6)
    if close:
        return f": did you mean {close[0]}?"
    return f"; known: {', '.join(known)}" if known else ""


def key_name(key_path: KeyPath) -> str:
    """`x-gpuhost.verify.steps[2].health`."""
    text = schema.KEY
    for step in key_path:
        text += f"[{step}]" if isinstance(step, int) else f".{_shortened(step)}"
    return text


def shown(key_path: KeyPath, value: Any) -> str:
    """A value on one line, without secrets."""
    if value is None or isinstance(value, bool):
        return {None: "null", True: "true", False: "false"}[value]
    if isinstance(value, dict):
        return "a mapping"
    if isinstance(value, list | tuple):
        return "a list"
    if MASKED.intersection(key_path):
        return "***"
    # Mask the login of a URL, and limit the length.
    text = re.sub(r"(//|^')[^/@\s]*@", r"\1***@", _safe_repr(value))
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def _safe_repr(value: Any) -> str:
    try:
        return repr(value)
    except ValueError:
        return "a number with thousands of digits"


def _shortened(step: str) -> str:
    text = step if step.isprintable() else repr(step)
    return text if len(text) <= MAX_LENGTH else f"{text[:MAX_LENGTH]}…"


def _value_at(block: Any, key_path: KeyPath) -> Any:
    for step in key_path:
        if isinstance(block, str):
            # One value in place of a list of them.
            return block
        try:
            block = block[step]
        except (KeyError, IndexError, TypeError):
            return None
    return block
