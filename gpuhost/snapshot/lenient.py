"""Values of a host's JSON, or a default where the type is wrong: the file may hold anything."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from gpuhost.runner.contract import LAST_SECOND


def text(value: object) -> str:
    return value if isinstance(value, str) else ""


def texts(value: object) -> tuple[str, ...]:
    return tuple(filter(None, map(text, value))) if isinstance(value, list) else ()


def number(value: object) -> float | None:
    if isinstance(value, bool) or not isinstance(value, int | float):
        return None
    # json reads infinities, and integers that no float can hold.
    return float(value) if abs(value) < LAST_SECOND else None


def seconds(value: object) -> int | None:
    exact = number(value)
    return int(exact) if exact is not None and 0 <= exact < LAST_SECOND else None


def whole(value: object) -> int:
    """A count; 0 if the value is not a number."""
    return seconds(value) or 0


def wholes(value: object) -> tuple[int, ...]:
    return tuple(filter(None, map(whole, value))) if isinstance(value, list) else ()


def mapping(value: object) -> Mapping[str, Any]:
    return value if isinstance(value, dict) else {}


def mappings(value: object) -> list[Mapping[str, Any]]:
    return [item for item in value if isinstance(item, dict)] if isinstance(value, list) else []
