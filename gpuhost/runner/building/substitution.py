"""Substitutes variables in a Dockerfile: $NAME, ${NAME}, ${NAME:-word} and similar."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"\w+", re.ASCII)
# Levels of ${A:-${B:-…}}.
DEEPEST = 50


class TooLarge(ValueError):
    """What is too large in a file: "has …"."""


def substitute(text: str, values: Mapping[str, str], largest: int, depth: int = 0) -> str:
    """The text with its variables replaced; one that is not set is empty.

    Forms that cut or replace parts of a value (${NAME#pattern}) are left unchanged.

    + largest: characters of the result
    + depth: how many ${…} are around it

    Raises TooLarge.
    """
    if depth > DEEPEST:
        raise TooLarge(f"has more than {DEEPEST} variables inside each other")
    result, place = "", 0
    while place < len(text):
        if len(result) > largest:
            break
        if text[place] == "\\":
            result += text[place + 1 : place + 2]
            place += 2
        elif text[place] != "$":
            result += text[place]
            place += 1
        elif text[place + 1 : place + 2] == "{":
            end = _closing(text, place + 2)
            result += _braced(text[place + 2 : end], values, largest, depth)
            place = end + 1
        elif name := NAME.match(text, place + 1):
            result += values.get(name[0], "")
            place = name.end()
        else:
            result += "$"
            place += 1
    if len(result) > largest:
        raise TooLarge("has variables that become too large")
    return result


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _braced(inside: str, values: Mapping[str, str], largest: int, depth: int) -> str:
    name = NAME.match(inside)
    if name is None:
        return f"${{{inside}}}"
    operator, value = inside[name.end() :], values.get(name[0])
    if not operator:
        return value or ""
    # With a colon an empty value counts as unset.
    is_set = bool(value) if operator.startswith(":") else value is not None
    kind, word = operator.lstrip(":")[:1], operator.lstrip(":")[1:]
    if kind == "-":
        return value or "" if is_set else substitute(word, values, largest, depth + 1)
    if kind == "+":
        return substitute(word, values, largest, depth + 1) if is_set else ""
    if kind == "?":
        return value or ""
    return f"${{{inside}}}"
