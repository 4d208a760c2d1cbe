""".dockerignore, as Docker reads it: https://docs.docker.com/build/concepts/context/#dockerignore-files

It is not .gitignore: a pattern is about the path from the context's root, an exception counts even
inside a directory that is ignored, and the last line that matches decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable
from dataclasses import dataclass


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern[str]
    exception: bool


@dataclass(frozen=True)
class DockerIgnore:
    """The rules of one file."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DockerIgnore:
        lines = text.removeprefix("\ufeff").splitlines()
        return cls(tuple(rule for line in lines if (rule := _rule(line))))

    def ignores(self, path: str) -> bool:
        """Whether a path, relative to the context and with /, is left out."""
        with_parents = tuple(_with_parents(path))
        ignored = False
        for rule in self.rules:
            if rule.exception == ignored and any(map(rule.pattern.fullmatch, with_parents)):
                ignored = not rule.exception
        return ignored


def _with_parents(path: str) -> Iterable[str]:
    """A directory's rule is about everything in it."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def _rule(line: str) -> Rule | None:
    # Only in the first column: " #" begins a name.
    if line.startswith("#"):
        return None
    text = line.strip()
    exception = text.startswith("!")
    text = text[1:].strip() if exception else text
    if not text:
        return None
    text = posixpath.normpath(text).lstrip("/")
    return Rule(_expression(text), exception) if text not in ("", ".") else None


def _expression(pattern: str) -> re.Pattern[str]:
    """Go's filepath.Match, and ** for any number of directories."""
    made: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**"):
            rest = rest[2:].removeprefix("/")
            made.append(".*" if not rest else "(?:.*/)?")
        elif rest[0] == "*":
            made.append("[^/]*")
            rest = rest[1:]
        elif rest[0] == "?":
            made.append("[^/]")
            rest = rest[1:]
        elif rest[0] == "[" and (group := re.match(r"\[\^?(?:\\.|[^\]\\])+\]", rest)):
            made.append(_class(group[0]))
            rest = rest[group.end() :]
        elif rest[0] == "\\" and len(rest) > 1:
            made.append(re.escape(rest[1]))
            rest = rest[2:]
        else:
            made.append(re.escape(rest[0]))
            rest = rest[1:]
    try:
        return re.compile("".join(made), re.DOTALL)
    except re.error:
        # A range like [z-a]: Docker refuses the file; here it names what it spells.
        return re.compile(re.escape(pattern))


def _class(group: str) -> str:
    negated = group.startswith("[^")
    inside = group[2 if negated else 1 : -1].replace("[", r"\[").replace("&&", r"&\&")
    return f"(?!/)[{'^' if negated else ''}{inside}]"
