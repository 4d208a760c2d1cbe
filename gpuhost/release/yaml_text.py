"""Values as YAML that every parser reads as the same text."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping
from typing import Any

# JSON does not escape these; YAML parsers reject them or read them as line ends.
UNPRINTED = re.compile("[\x7f-\x9f\u2028\u2029\ufeff\ufffe\uffff]")


def quoted(text: str) -> str:
    """In double quotes: a YAML parser returns exactly this text.

    >>> quoted('no "22:22"')
    '"no \\\\"22:22\\\\""'
    """
    return UNPRINTED.sub(
        lambda match: f"\\u{ord(match[0]):04x}", json.dumps(text, ensure_ascii=False)
    )


def literal(text: str) -> str:
    """Escaped for Compose: ${HOME} stays ${HOME} and is not a variable."""
    return text.replace("$", "$$")


def flow(value: Any) -> str:
    """A value of a YAML file on one line."""
    if isinstance(value, Mapping):
        return "{" + ", ".join(f"{quoted(str(k))}: {flow(v)}" for k, v in value.items()) + "}"
    if isinstance(value, list | tuple):
        return "[" + ", ".join(map(flow, value)) + "]"
    if isinstance(value, str):
        return quoted(value)
    return json.dumps(value)
