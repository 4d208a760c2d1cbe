"""Documents as JSON: indented, but an object without others in it, a finding, is one line."""

from __future__ import annotations

import json
from typing import Any

# Without `indent`, Python's encoder is written in C: a tenth of the time.
_encode = json.JSONEncoder().encode
INDENT = "  "


def json_text(value: Any, lead: str = "") -> str:
    """+ lead: the indentation of the line in which it begins"""
    items = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    if not any(isinstance(item, (dict, list)) for item in items):
        return _encode(value)
    inner = lead + INDENT
    if isinstance(value, dict):
        lines = [f"{_encode(str(key))}: {json_text(item, inner)}" for key, item in value.items()]
        return f"{{\n{inner}" + f",\n{inner}".join(lines) + f"\n{lead}}}"
    return (
        f"[\n{inner}" + f",\n{inner}".join(json_text(item, inner) for item in value) + f"\n{lead}]"
    )
