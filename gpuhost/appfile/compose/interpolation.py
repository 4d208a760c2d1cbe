"""$NAME and ${NAME…} in a Compose file, as Compose fills them in.

A value that only the host knows stays as it is written.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from enum import Enum

NAME = re.compile(r"[A-Za-z_][A-Za-z0-9_]*")
# Characters that a text becomes, and levels of ${A:-${B:-…}}.
LARGEST = 1 << 20
DEEPEST = 50
OPERATORS = (":-", "-", ":?", "?", ":+", "+")


class OnHost(Enum):
    """A variable that is set on the host, to a value that is not known here."""

    SET = "set on the host"
    # A file that the host gets may set it.
    MAYBE = "perhaps set on the host"


Lookup = Callable[[str], "str | OnHost | None"]


@dataclass(frozen=True)
class Unset:
    """A variable that is not set and has no default.

    + required: Compose refuses the file
    + maybe: only the host can tell
    """

    name: str
    required: bool = False
    maybe: bool = False


@dataclass(frozen=True)
class Filled:
    """is_bad: Compose refuses the text; is_too_long: it is not filled in"""

    text: str
    unset: tuple[Unset, ...] = ()
    is_bad: bool = False
    is_too_long: bool = False


class _BadVariable(Exception):
    """${…} that Compose refuses."""


class _TooLong(Exception):
    """What the text becomes."""


def fill_in(text: str, lookup: Lookup) -> Filled:
    """The text with its variables filled in, and those that are unset."""
    unset: list[Unset] = []
    try:
        return Filled(_filled(text, lookup, unset, 0), tuple(unset))
    except _BadVariable:
        return Filled(text, tuple(unset), is_bad=True)
    except _TooLong:
        return Filled(text, tuple(unset), is_too_long=True)


def _filled(text: str, lookup: Lookup, unset: list[Unset], depth: int) -> str:
    """+ depth: how many ${…} are around it"""
    if depth > DEEPEST:
        raise _TooLong
    parts, length = list[str](), 0
    for part in _parts(text, lookup, unset, depth):
        parts.append(part)
        length += len(part)
        if length > LARGEST:
            raise _TooLong
    return "".join(parts)


def _parts(text: str, lookup: Lookup, unset: list[Unset], depth: int) -> Iterator[str]:
    at = 0
    while (start := text.find("$", at)) >= 0:
        yield text[at:start]
        if text.startswith("$$", start):
            yield "$"
            at = start + 2
        elif text.startswith("${", start):
            end = _closing(text, start + 2)
            yield _braced(text[start:end], lookup, unset, depth)
            at = end
        elif match := NAME.match(text, start + 1):
            yield _plain(match[0], text[start : match.end()], lookup, unset)
            at = match.end()
        else:
            yield "$"
            at = start + 1
    yield text[at:]


def _closing(text: str, at: int) -> int:
    """The end of ${…}, with ${…} inside it; the end of the text if it is not closed."""
    depth = 1
    while at < len(text):
        if text.startswith("${", at):
            depth, at = depth + 1, at + 1
        elif text[at] == "}":
            depth -= 1
            if depth == 0:
                return at + 1
        at += 1
    return at


def _braced(written: str, lookup: Lookup, unset: list[Unset], depth: int) -> str:
    inside = written[2:].removesuffix("}")
    match = NAME.match(inside)
    name = match[0] if match else ""
    rest = inside[len(name) :]
    operator = next((sign for sign in OPERATORS if rest.startswith(sign)), "")
    if not name or (rest and not operator) or not written.endswith("}"):
        raise _BadVariable
    other = rest[len(operator) :]
    value = lookup(name)
    is_set = value is not None and (value != "" or not operator.startswith(":"))
    if operator.endswith("-"):
        if not is_set:
            return _filled(other, lookup, unset, depth + 1)
        return written if isinstance(value, OnHost) else value or ""
    if operator.endswith("+"):
        if value is OnHost.MAYBE:
            return written
        return _filled(other, lookup, unset, depth + 1) if is_set else ""
    if operator and not is_set:
        unset.append(Unset(name, required=True))
        return ""
    return _plain(name, written, lookup, unset)


def _plain(name: str, written: str, lookup: Lookup, unset: list[Unset]) -> str:
    value = lookup(name)
    if value is None or value is OnHost.MAYBE:
        unset.append(Unset(name, maybe=value is not None))
    if value is None:
        return ""
    return written if isinstance(value, OnHost) else value
