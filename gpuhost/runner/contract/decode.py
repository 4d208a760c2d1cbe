"""JSON to frozen dataclasses."""

from __future__ import annotations

import math
import types
from collections.abc import Mapping
from dataclasses import MISSING, fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")
# The end of the year 9999, the last one that datetime supports.
LAST_SECOND = 253402300800


def from_json(cls: type[T], value: Mapping[str, Any]) -> T:
    """A dataclass from what json.loads gave. Unknown keys are ignored, missing keys get defaults.

    Raises TypeError or ValueError for a value that does not fit.
    """
    if not isinstance(value, Mapping):
        raise TypeError(f"expected an object, got {type(value).__name__}")
    hints = get_type_hints(cls)
    names = [field.name for field in fields(cls) if field.name in value]  # type: ignore[arg-type]
    return cls(**{name: _value(hints[name], value[name]) for name in names})


def lenient(cls: type[T], value: object, **defaults: object) -> T:
    """As `from_json`, for a file that may be damaged: a value that does not fit gets its default.

    + defaults: of required fields; without one "" or 0
    """
    hints, given = get_type_hints(cls), value if isinstance(value, dict) else {}
    made = {}
    for field in fields(cls):  # type: ignore[arg-type]
        hint = hints[field.name]
        try:
            made[field.name] = _plausible(_value(hint, given[field.name]))
        except (KeyError, TypeError, ValueError):
            if field.name in defaults:
                made[field.name] = defaults[field.name]
            elif field.default is MISSING and field.default_factory is MISSING:
                made[field.name] = hint()
    return cls(**made)


def _plausible(value: Any) -> Any:
    """Raises ValueError for a number that is not a time: negative, infinite, or too large."""
    if isinstance(value, float) and not (math.isfinite(value) and 0 <= value < LAST_SECOND):
        raise ValueError(f"{value} is out of range")
    return value


def _value(hint: Any, value: Any) -> Any:
    origin, arguments = get_origin(hint), get_args(hint)
    if origin in (Union, types.UnionType):
        if value is None and type(None) in arguments:
            return None
        return _value(next(kind for kind in arguments if kind is not type(None)), value)
    if is_dataclass(hint) and isinstance(hint, type):
        return from_json(hint, value)
    if origin is tuple:
        if not isinstance(value, list):
            raise TypeError(f"expected a list, got {value!r}")
        if len(arguments) == 2 and arguments[1] is Ellipsis:
            return tuple(_value(arguments[0], item) for item in value)
        return tuple(_value(kind, item) for kind, item in zip(arguments, value, strict=True))
    if origin is dict:
        if not isinstance(value, dict):
            raise TypeError(f"expected an object, got {type(value).__name__}")
        return {str(key): _value(arguments[1], item) for key, item in value.items()}
    if isinstance(value, bool) and hint in (int, float):
        raise TypeError(f"expected {hint.__name__}, got {value!r}")
    if hint is float and isinstance(value, int):
        return _float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, got {value!r}")
    return value


def _float(value: int) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ValueError("a number is out of range") from None
