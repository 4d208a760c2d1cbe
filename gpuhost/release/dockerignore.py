""".dockerignore, as Docker reads it: https://docs.docker.com/build/concepts/context/#dockerignore-files

Unlike .gitignore, a pattern matches the path from the context's root, an exception works even
inside an ignored directory, and the last matching line decides.
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
        """Whether a path, relative to the context and with /, is excluded."""
        with_parents = tuple(_with_parents(path))
        ignored = False
        for rule in self.rules:
            if rule.exception == ignored and any(map(rule.pattern.fullmatch, with_parents)):
                ignored = not rule.exception
        return ignored


def _with_parents(path: str) -> Iterable[str]:
    """A rule for a directory applies to everything in it."""
    parts = path.split("/")
    return ("/".join(parts[:count]) for count in range(1, len(parts) + 1))


def _rule(line: str) -> Rule | None:
    # A comment starts in the first column; " #" is a name.
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
    parts: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**"):
            rest = rest[2:].removeprefix("/")
            parts.append(".*" if not rest else "(?:.*/)?")
        elif rest[0] == "*":
            parts.append("[^/]*")
            rest = rest[1:]
        elif rest[0] == "?":
            parts.append("[^/]")
            rest = rest[1:]
        elif rest[0] == "[" and (group := re.match(r"\[\^?(?:\\.|[^\]\\])+\]", rest)):
            parts.append(_class(group[0]))
            rest = rest[group.end() :]
        elif rest[0] == "\\" and len(rest) > 1:
            parts.append(re.escape(rest[1]))
            rest = rest[2:]
        else:
            parts.append(re.escape(rest[0]))
            rest = rest[1:]
    try:
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        # A range like [z-a]: Docker refuses the file; here it is plain text.
        return re.compile(re.escape(pattern))


def _class(group: str) -> str:
    negated = group.startswith("[^")
    inside = group[2 if negated else 1 : -1].replace("[", r"\[").replace("&&", r"&\&")
    return f"(?!/)[{'^' if negated else ''}{inside}]"
