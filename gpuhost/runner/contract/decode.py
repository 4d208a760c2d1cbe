"""JSON to frozen dataclasses."""

from __future__ import annotations

import types
from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, Union, get_args, get_origin, get_type_hints

T = TypeVar("T")


def from_json(shape: type[T], value: Mapping[str, Any]) -> T:
    """A dataclass from what json.loads gave; unknown keys are left, missing ones are defaults.

    Raises TypeError or ValueError for what does not fit.
    """
    hints = get_type_hints(shape)
    names = [field.name for field in fields(shape) if field.name in value]  # type: ignore[arg-type]
    return shape(**{name: _value(hints[name], value[name]) for name in names})


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
        return {str(key): _value(arguments[1], item) for key, item in value.items()}
    if hint is float and isinstance(value, int):
        return float(value)
    if isinstance(hint, type) and not isinstance(value, hint):
        raise TypeError(f"expected {hint.__name__}, got {value!r}")
    return value
