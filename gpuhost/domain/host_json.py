"""JSON from a host, which may hold anything: what cannot be used is a ValueError, nothing else."""

from __future__ import annotations

import json
from math import isfinite
from typing import Any, NoReturn

# Digits of a whole number: no size, time or id of a host has more.
MAX_DIGITS, SHOWN = 100, 20


def parse(text: str) -> Any:
    """Raises ValueError, also for numbers that no JSON has, and for what is nested too deeply."""
    try:
        return json.loads(text, parse_constant=_not_a_number, parse_float=_finite, parse_int=_whole)
    except RecursionError:
        raise ValueError("it is nested too deeply") from None


def _not_a_number(word: str) -> NoReturn:
    raise ValueError(f"{word} is no number of JSON")


def _finite(digits: str) -> float:
    if isfinite(value := float(digits)):
        return value
    raise ValueError(f"a number is too large: {digits[:SHOWN]}…")


def _whole(digits: str) -> int:
    if len(digits) <= MAX_DIGITS:
        return int(digits)
    raise ValueError(f"a number is too large: {digits[:SHOWN]}…")
