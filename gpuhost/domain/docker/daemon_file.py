"""daemon.json as the engine reads it. What no engine takes has no values here either."""

from __future__ import annotations

import json
import re
from dataclasses import dataclass
from math import isfinite
from typing import Any

# moby 23.0 skips a byte order mark and takes a blank file as no settings; before, neither is read
# (tried: 20.10.24 ends with "EOF" and "invalid character 'ï'", 26.1.5 starts).
LENIENT = 23
BOM = "\ufeff"
# What the reading puts in place of bytes that are not UTF-8.
REPLACED = "\ufffd"
NOT_AN_OBJECT = "not a JSON object"


@dataclass(frozen=True)
class DaemonFile:
    """+ values: None if no engine can read the file
    + fault: why the engine in use does not start with it; "": it does
    """

    values: dict[str, Any] | None
    fault: str = ""


def parse(text: str | None, major: int | None = None) -> DaemonFile:
    """The settings in a daemon.json.

    + text: None if there is no file
    + major: the engine's major version, None if it is not known
    """
    if text is None:
        return DaemonFile({})
    strict = major is not None and major < LENIENT
    content = text.removeprefix(BOM)
    if REPLACED in content:
        kind = "UTF-16" if content.startswith(REPLACED * 2) else "not UTF-8"
        return DaemonFile(None, f"{NOT_AN_OBJECT} in UTF-8: it is {kind}")
    if strict and content != text:
        fault = f"it starts with a byte order mark, which Docker {major} does not skip"
    elif strict and not content.strip():
        fault = f"it is blank, which Docker {major} does not read"
    else:
        fault = ""
    if not content.strip():
        return DaemonFile({}, fault)
    try:
        values = _load(content)
    except (ValueError, RecursionError) as error:
        return DaemonFile(None, f"{NOT_AN_OBJECT}: {error}")
    if values is None:  # `null` sets nothing
        return DaemonFile({}, fault)
    if not isinstance(values, dict):
        return DaemonFile(None, NOT_AN_OBJECT)
    return DaemonFile(values, fault)


def _load(content: str) -> Any:
    return json.loads(
        content, object_pairs_hook=_object, parse_constant=_refused, parse_float=_finite
    )


def _object(pairs: list[tuple[str, Any]]) -> dict[str, Any]:
    """Of a key that stands twice the last value counts; Go unites objects."""
    values: dict[str, Any] = {}
    for key, value in pairs:
        before = values.get(key)
        united = isinstance(before, dict) and isinstance(value, dict)
        values[key] = {**before, **value} if united and before else value
    return values


def _refused(constant: str) -> Any:
    raise ValueError(f"{constant} is not JSON")


def _finite(number: str) -> float:
    if not isfinite(float(number)):
        raise ValueError(f"{number[:20]} is too large")
    return float(number)


def major_version(version: str) -> int | None:
    """Of an engine or its package: "5:26.1.5-1~debian.13" is 26."""
    match = re.match(r"(?:\d+:)?v?(\d{1,4})(?:\.|$|[^\d:])", version)
    return int(match[1]) if match else None
