"""From what a person wrote, in inventories, group_data and on the command line, to Settings.

An error names the key, its value, what is allowed and where it was set.
"""

from __future__ import annotations

import re
import types
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from difflib import get_close_matches
from typing import TYPE_CHECKING, Annotated, Any, Literal, Union, get_args, get_origin

from pydantic import ValidationError
from pydantic.fields import FieldInfo

from gpuhost.settings import Settings, fields
from gpuhost.settings.types import LOGIN_IN_URL, Kind

if TYPE_CHECKING:
    from pyinfra.api.host import Host

# "swap_size" and "gpus" are meant for us; "swap_partner" is the user's own.
SIMILARITY = 0.85
# What deploys are told on the command line is no setting, though `apps` is one.
OF_DEPLOYS = frozenset({"app"})
OVERRIDES = "--data"
LONGEST = 100
# Dictionaries whose values may be tokens, though they are plain settings.
WITH_SECRETS = frozenset({"build_args"})


class BadSettings(ValueError):
    """One line per mistake."""

    def __init__(self, lines: Sequence[str]) -> None:
        super().__init__("; ".join(lines))
        self.lines = tuple(lines)


@dataclass(frozen=True)
class Layer:
    """One place where settings come from, in a person's words."""

    where: str
    values: Mapping[str, Any]


def declare(layers: Sequence[Layer]) -> Settings:
    """Settings from layers, the first that has a key wins.

    Raises BadSettings with every mistake found.
    """
    merged: dict[str, tuple[Any, str]] = {}
    for layer in layers:
        for key, value in layer.values.items():
            merged.setdefault(key, (value, layer.where))
    lines = list(_near_misses(merged))
    given = {key: _tuples(value) for key, (value, _) in merged.items() if key in fields()}
    try:
        settings = Settings(**given)
    except ValidationError as error:
        lines += _in_words(error, merged)
    if lines:
        raise BadSettings(lines)
    return settings


def declared_for(host: Host) -> Settings:
    """What a pyinfra host is declared to be.

    Raises BadSettings.
    """
    return declare(list(_layers(host)))


def _layers(host: Host) -> Iterator[Layer]:
    inventory = host.inventory
    yield Layer("the deploy's host.data", host.data.override_datas)
    yield Layer(OVERRIDES, inventory.get_override_data())
    yield Layer(f"the inventory, host {host.name}", inventory.get_host_data(host.name))
    # Of several groups the last wins.
    for group in reversed(host.groups):
        yield Layer(f"group {group}", inventory.get_group_data(group))
    yield Layer("group_data/all.py", inventory.get_data())


def in_words(host: Host, key: str) -> str:
    """`ssh_port = '22' (group gpu)`: what a host's data has for a key, and where it was set."""
    for layer in _layers(host):
        if key in layer.values:
            return _said(key, layer.values[key], layer.where)
    return key


def _near_misses(merged: Mapping[Any, tuple[Any, str]]) -> Iterator[str]:
    names = list(fields())
    for key, (_, where) in merged.items():
        is_ours = isinstance(key, str) and key not in names and key not in OF_DEPLOYS
        if not is_ours or key.startswith(("_", "ssh_")):
            continue
        # SWAP_SIZE_GB and swap-size-gb are meant for us too.
        close = get_close_matches(key.lower().replace("-", "_"), names, n=1, cutoff=SIMILARITY)
        if close:
            yield f"{_shown(key)[1:-1]} ({where}) is no setting: did you mean {close[0]}?"


def _in_words(error: ValidationError, merged: Mapping[str, tuple[Any, str]]) -> list[str]:
    # One line a key: each alternative of a type complains on its own.
    lines: dict[str, str] = {}
    for detail in error.errors(include_url=False):
        if not detail["loc"]:
            said = detail["msg"].removeprefix("Value error, ")
            lines[said] = _together(said, merged)
            continue
        key = str(detail["loc"][0])
        value, where = merged[key]
        said = detail["msg"].removeprefix("Value error, ")
        if detail["type"] == LOGIN_IN_URL:
            # It says more than that the value is none of the names that are allowed too.
            lines[key] = f"{_said(key, value, where)}: {said}"
            continue
        line = f"{_said(key, value, where)}: {allowed(fields()[key], said)}"
        lines.setdefault(key, line + _quoting(key, value, where))
    return list(lines.values())


def _together(said: str, merged: Mapping[str, tuple[Any, str]]) -> str:
    """A combination that is not possible, with each of its settings and where that was set."""
    named = [key for key in fields() if key in merged and re.search(rf"\b{key}\b", said)]
    return ", ".join(_said(key, *merged[key]) for key in named) + f": {said}"


def _said(key: str, value: Any, where: str) -> str:
    return f"{key} = {_hidden(key, value) or _shown(value)} ({where})"


def _hidden(key: str, value: Any) -> str:
    """What is said in place of a secret; "": it is none."""
    # pyinfra's own data has passwords under their own names.
    if "password" in key:
        return "***"
    if key not in WITH_SECRETS:
        return ""
    if not isinstance(value, Mapping):
        return "***"
    return f"{{{', '.join(f'{_shown(name)}: ***' for name in value)}}}"


def _shown(value: Any) -> str:
    """A value on one line, without the password that a URL may hold."""
    text = re.sub(r"(['\"]).*@", r"\1***@", repr(value))
    return text if len(text) <= LONGEST else f"{text[:LONGEST]}…"


def _quoting(key: str, value: Any, where: str) -> str:
    """On the command line 12.1 is a number, and a shell takes the quotes of "12.1" away."""
    wants_text = any(isinstance(choice, Kind) for choice in _choices_of(fields()[key]))
    if where != OVERRIDES or not wants_text or not isinstance(value, int | float):
        return ""
    return f"; in a shell: --data '{key}=\"{value}\"'"


def _tuples(value: Any) -> Any:
    return tuple(value) if isinstance(value, list) else value


def allowed(field: FieldInfo, said: str = "") -> str:
    """What a setting may be, in words; said: the validator's own sentence, where types say little.

    >>> allowed(fields()["docker_restart"])
    'one of "idle", "always", "never"'
    """
    choices = _choices_of(field)
    words = [_quoted(choice) for choice in choices if isinstance(choice, str)]
    kinds = [_kind(choice) for choice in choices if not isinstance(choice, str)]
    if len(words) > 1 and not kinds:
        return f"one of {', '.join(words)}"
    # None first: behind "such as …" it would read as one more example.
    parts = sorted([*words, *dict.fromkeys(kinds)], key=lambda part: part != "None")
    sentence = " or ".join(parts)
    if said and not words and not said.startswith(("Input", "String", "Tuple", "Field", "Extra")):
        return said
    unit = f" of {unit_of(field)}" if unit_of(field) else ""
    return ", ".join(filter(None, (sentence + unit, _limits(field))))


def _choices_of(field: FieldInfo) -> list[Any]:
    named = [item for item in field.metadata if isinstance(item, Kind)]
    return named or list(_choices(field.annotation))


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
    found = [
        words.format(getattr(item, sign))
        for sign, words in signs
        for item in field.metadata
        if getattr(item, sign, None) is not None
    ]
    return ", ".join(found)
