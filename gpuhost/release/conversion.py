"""From a section of the app file to its part of the plan: fields of the same name are copied."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar, get_args, get_origin, get_type_hints

from pydantic import BaseModel

from gpuhost.runner import plan

T = TypeVar("T")

# pydantic's models have a method `json`: the model's attribute for that key has another name.
MODEL_NAMES: dict[type, dict[str, str]] = {plan.Expect: {"json": "json_values"}}


def convert(kind: type[T], section: BaseModel, /, **values: Any) -> T:
    """A part of the plan, from a section of the app file.

    A field without a value gets the plan's default. A mapping of names to sections becomes a tuple;
    the first field of each item is its name.

    + values: fields that the section does not have, or that are decided elsewhere
    """
    renamed = MODEL_NAMES.get(kind, {})
    copied = {}
    for name, hint in _hints(kind).items():
        key = renamed.get(name, name)
        value = getattr(section, key) if key in type(section).model_fields else None
        if name not in values and value is not None:
            copied[name] = _converted(hint, value)
    return kind(**copied, **values)


def _hints(kind: Any) -> dict[str, Any]:
    hints = get_type_hints(kind)
    return {field.name: hints[field.name] for field in fields(kind)}


def _converted(hint: Any, value: Any) -> Any:
    if isinstance(value, BaseModel):
        return convert(_dataclass_in(hint), value)
    if isinstance(value, tuple):
        return tuple(_converted(hint, item) for item in value)
    if isinstance(value, Mapping):
        return _by_name(hint, value) if get_origin(hint) is tuple else dict(value)
    return value


def _by_name(hint: Any, sections: Mapping[str, BaseModel]) -> tuple[Any, ...]:
    kind = _dataclass_in(hint)
    first = fields(kind)[0].name
    return tuple(convert(kind, section, **{first: name}) for name, section in sections.items())


def _dataclass_in(hint: Any) -> Any:
    """The dataclass of `Item`, `Item | None` or `tuple[Item, ...]`."""
    return next(kind for kind in (hint, *get_args(hint)) if is_dataclass(kind))
