"""Substitutes variables in a Dockerfile: $NAME, ${NAME}, ${NAME:-word} and similar."""

from __future__ import annotations

import re
from collections.abc import Mapping

NAME = re.compile(r"\w+", re.ASCII)


def substitute(text: str, values: Mapping[str, str]) -> str:
    """The text with its variables replaced; one that is not set is empty.

    Forms that cut or replace parts of a value (${NAME#pattern}) are left unchanged.
    """
    result, place = "", 0
    while place < len(text):
        if text[place] == "\\":
            result += text[place + 1 : place + 2]
            place += 2
        elif text[place] != "$":
            result += text[place]
            place += 1
        elif text[place + 1 : place + 2] == "{":
            end = _closing(text, place + 2)
            result += _braced(text[place + 2 : end], values)
            place = end + 1
        elif name := NAME.match(text, place + 1):
            result += values.get(name[0], "")
            place = name.end()
        else:
            result += "$"
            place += 1
    return result


def _closing(text: str, start: int) -> int:
    depth = 1
    for place in range(start, len(text)):
        depth += {"{": 1, "}": -1}.get(text[place], 0)
        if depth == 0:
            return place
    return len(text)


def _braced(inside: str, values: Mapping[str, str]) -> str:
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
        return value or "" if is_set else substitute(word, values)
    if kind == "+":
        return substitute(word, values) if is_set else ""
    if kind == "?":
        return value or ""
    return f"${{{inside}}}"
