"""Words and numbers of a host, safe to show: on a terminal, in JSON, on a page, in a message.

A hostile host can send control characters, which control the terminal; bidirectional and invisible
ones, which show another text than there is; texts without end; numbers that no JSON has.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping
from dataclasses import fields, is_dataclass, replace
from enum import Enum
from functools import cache
from math import isfinite
from operator import attrgetter
from typing import Any, TypeVar

T = TypeVar("T")
# Default_Ignorable_Code_Point of Unicode that Python calls printable, and the blank of Braille; not
# what makes an emoji of the character before it (U+FE0F).
INVISIBLE = re.compile(
    "[\u034f\u115f\u1160\u17b4\u17b5\u180b-\u180f\u2800\u3164\ufe00-\ufe0d\uffa0\U000e0100-\U000e01ef]"
)
ESCAPES = re.compile(r"\x1b(?:\[[0-9;?]*[A-Za-z]|\][^\x07\x1b]*(?:\x07|\x1b\\))")
# Characters of one text. The longest of an honest host, a list of files that differ, is shorter.
MAX_TEXT = 4000
# What a signed number of 64 bits can be: more than any size, time or count of a host.
MAX_NUMBER = 2**63 - 1

_SAFE_KINDS = (bool, Enum, type(None))


def plain(text: str) -> str:
    """Replace characters that are not printable, or are and show nothing. Line breaks stay, other
    white space is a space.
    """
    text = INVISIBLE.sub("?", text)
    if text.isprintable():
        return text
    return "".join(
        c if c.isprintable() or c == "\n" else " " if c.isspace() and c != "\r" else "?"
        for c in text.replace("\r\n", "\n")
    )


def without_escapes(text: str) -> str:
    """Without colours and cursor movements, which the output of honest tools has too."""
    return ESCAPES.sub("", text)


def cut(text: str, length: int = MAX_TEXT) -> str:
    """At most this many characters, and how many are left out."""
    if len(text) <= length:
        return text
    return f"{text[:length]}… ({len(text) - length} more characters)"


def safe(value: T) -> T:
    """The same value, in dataclasses and collections too: its texts plain, its numbers finite."""
    return _safe(value)  # type: ignore[no-any-return]


def _safe(value: Any) -> Any:
    """A text or a dataclass that needs no change stays the same object."""
    kind = type(value)
    if kind is str:
        return value if len(value) <= MAX_TEXT and value.isprintable() else _printable(value)
    if isinstance(value, _SAFE_KINDS):
        return value
    if kind is float:
        return value if isfinite(value) else 0.0
    if kind is int:
        return value if abs(value) <= MAX_NUMBER else MAX_NUMBER if value > 0 else -MAX_NUMBER
    if is_dataclass(value):
        return _safe_fields(value)
    if isinstance(value, (tuple, list, set, frozenset)):
        return kind(map(_safe, value))
    if isinstance(value, Mapping):
        return {_safe(key): _safe(item) for key, item in value.items()}
    return _printable(str(value)) if isinstance(value, str) else value


def _printable(text: str) -> str:
    return plain(cut(without_escapes(text)))


def _safe_fields(value: Any) -> Any:
    names, read = _fields(value.__class__)
    values = read(value)
    # Most texts need no change: one look at all of them together is enough.
    together = "".join([one for one in values if type(one) is str])
    texts_are_safe = len(together) <= MAX_TEXT and together.isprintable()
    others = (one for one in values if type(one) is not str)
    if texts_are_safe and all(isinstance(one, _SAFE_KINDS) for one in others):
        return value
    changed = {}
    for name, now in zip(names, values, strict=True):
        if (texts_are_safe and type(now) is str) or isinstance(now, _SAFE_KINDS):
            continue
        if (new := _safe(now)) is not now:
            changed[name] = new
    return replace(value, **changed) if changed else value


@cache
def _fields(kind: Any) -> tuple[tuple[str, ...], Callable[[Any], tuple[Any, ...]]]:
    """The names of its fields, and a function that gets all of them."""
    names = tuple(one.name for one in fields(kind) if one.init)
    if len(names) > 1:
        return names, attrgetter(*names)
    return names, lambda value: tuple(getattr(value, name) for name in names)
