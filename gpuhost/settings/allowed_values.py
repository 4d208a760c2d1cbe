"""The allowed values of a setting, in words: for error messages and the reference page."""

from __future__ import annotations

import types
from collections.abc import Iterator
from typing import Annotated, Any, Literal, Union, get_args, get_origin

from pydantic.fields import FieldInfo

from gpuhost.settings.types import Kind

# How pydantic's own messages begin; they name types, not what a person may write.
PYDANTIC_MESSAGES = ("Input", "String", "Tuple", "Field", "Extra")


def describe_allowed(field: FieldInfo, message: str = "") -> str:
    """The allowed values of a setting.

    + message: of its validator, shown if the types are not precise enough

    >>> describe_allowed(fields()["docker_restart"])
    'one of "idle", "always", "never"'
    """
    choices = _choices_of(field)
    names = [_quoted(choice) for choice in choices if isinstance(choice, str)]
    kinds = [_kind(choice) for choice in choices if not isinstance(choice, str)]
    if len(names) > 1 and not kinds:
        return f"one of {', '.join(names)}"
    # None first: behind "such as …" it would read as one more example.
    parts = sorted([*names, *dict.fromkeys(kinds)], key=lambda part: part != "None")
    sentence = " or ".join(parts)
    if message and not names and not message.startswith(PYDANTIC_MESSAGES):
        return message
    unit = f" of {unit_of(field)}" if unit_of(field) else ""
    return ", ".join(filter(None, (sentence + unit, _limits(field))))


def takes_text(field: FieldInfo) -> bool:
    """Whether the value is a text of some form: a version, a path, a URL."""
    return any(isinstance(choice, Kind) for choice in _choices_of(field))


def _choices_of(field: FieldInfo) -> list[Any]:
    kinds = [item for item in field.metadata if isinstance(item, Kind)]
    return kinds or list(_choices(field.annotation))


def _choices(annotation: Any) -> Iterator[Any]:
    origin = get_origin(annotation)
    if origin is Annotated:
        kind = [item for item in get_args(annotation)[1:] if isinstance(item, Kind)]
        yield from kind or _choices(get_args(annotation)[0])
    elif origin is Literal:
        yield from get_args(annotation)
    elif origin in (Union, types.UnionType):
        for part in get_args(annotation):
            yield from _choices(part)
    else:
        yield annotation


def _kind(annotation: Any) -> str:
    if isinstance(annotation, Kind):
        return annotation.words
    if get_origin(annotation) is tuple:
        items = list(_choices(get_args(annotation)[0]))
        return f"a list, each item {' or '.join(map(_item, items))}"
    if annotation is type(None):
        return "None"
    named = {bool: "True or False", int: "a whole number", float: "a number", str: "a string"}
    if annotation in named:
        return named[annotation]
    if get_origin(annotation) is dict:
        key, value = (next(_choices(part)) for part in get_args(annotation))
        return f"a dictionary, {_kind(key)} to {_kind(value)}"
    return str(annotation)


def _item(choice: Any) -> str:
    return _quoted(choice) if isinstance(choice, str) else _kind(choice)


def _quoted(choice: str) -> str:
    return f'"{choice}"'


def unit_of(field: FieldInfo) -> str:
    extra = field.json_schema_extra
    return str(extra.get("unit", "")) if isinstance(extra, dict) else ""


def _limits(field: FieldInfo) -> str:
    signs = (("ge", "at least {}"), ("le", "at most {}"), ("min_length", "at least {} item"))
    limits = [
        words.format(getattr(item, sign))
        for sign, words in signs
        for item in field.metadata
        if getattr(item, sign, None) is not None
    ]
    return ", ".join(limits)
