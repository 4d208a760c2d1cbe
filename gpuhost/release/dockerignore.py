""".dockerignore, as Docker reads it: https://docs.docker.com/build/concepts/context/#dockerignore-files

Unlike .gitignore, a pattern matches the path from the context's root, an exception works even
inside an ignored directory, and the last matching line decides.
"""

from __future__ import annotations

import posixpath
import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

ANY, IN_NAME, DIRECTORIES = ".*", "[^/]*", "(?:.*/)?"
STARS = (ANY, IN_NAME, DIRECTORIES)
# With more of them the time of a regular expression is more than the square of a path's length.
MOST_STARS = 2
MOST_RULES = 5000
# Of all patterns with more stars: each is looked at for each character of each path.
MOST_TOKENS = 2000


class TooManyRules(ValueError):
    """A file with more than MOST_RULES, or MOST_TOKENS."""


class ManyStars:
    """A pattern whose time grows with its length times that of the path."""

    def __init__(self, tokens: list[str]) -> None:
        self.tokens = tokens
        self.single = {token: re.compile(token, re.DOTALL) for token in {*tokens, *STARS}}

    def fullmatch(self, path: str) -> bool:
        # How many tokens are matched; and whether the next one, DIRECTORIES, has begun.
        states = self._with_empty({(0, False)})
        for character in path:
            states = self._with_empty(set(self._after(states, character)))
        return (len(self.tokens), False) in states

    def _after(self, states: set[tuple[int, bool]], character: str) -> Iterator[tuple[int, bool]]:
        for at, has_begun in states:
            token = self.tokens[at] if at < len(self.tokens) else ""
            if token == DIRECTORIES:
                yield at, True
                if character == "/":
                    yield at + 1, False
            elif token and self.single[token].fullmatch(character):
                yield (at, has_begun) if token in STARS else (at + 1, False)

    def _with_empty(self, states: set[tuple[int, bool]]) -> set[tuple[int, bool]]:
        """Every star may also match nothing more."""
        left = list(states)
        while left:
            at, has_begun = left.pop()
            is_star = at < len(self.tokens) and self.tokens[at] in STARS
            following = (at + 1, False)
            if is_star and not has_begun and following not in states:
                states.add(following)
                left.append(following)
        return states


@dataclass(frozen=True)
class Rule:
    pattern: re.Pattern[str] | ManyStars
    exception: bool


@dataclass(frozen=True)
class DockerIgnore:
    """The rules of one file."""

    rules: tuple[Rule, ...] = ()

    @classmethod
    def parse(cls, text: str) -> DockerIgnore:
        """Raises TooManyRules."""
        lines = text.removeprefix("\ufeff").splitlines()
        rules = tuple(islice((rule for line in lines if (rule := _rule(line))), MOST_RULES + 1))
        if len(rules) > MOST_RULES:
            raise TooManyRules(f"more than {MOST_RULES} rules")
        slow = (rule.pattern for rule in rules if isinstance(rule.pattern, ManyStars))
        if sum(len(pattern.tokens) for pattern in slow) > MOST_TOKENS:
            raise TooManyRules(
                f"more than {MOST_TOKENS} characters in patterns with more than {MOST_STARS} stars"
            )
        return cls(rules)

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


def _expression(pattern: str) -> re.Pattern[str] | ManyStars:
    """Go's filepath.Match, and ** for any number of directories."""
    parts: list[str] = []
    rest = pattern
    while rest:
        if rest.startswith("**"):
            rest = rest[2:].removeprefix("/")
            parts.append(DIRECTORIES if rest else ANY)
        elif rest[0] == "*":
            parts.append(IN_NAME)
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
    # A row of the same stars is one.
    pairs = zip(parts, ["", *parts], strict=False)
    parts = [one for one, before in pairs if one != before or one not in STARS]
    try:
        if sum(part in STARS for part in parts) > MOST_STARS:
            return ManyStars(parts)
        return re.compile("".join(parts), re.DOTALL)
    except re.error:
        # A range like [z-a]: Docker refuses the file; here it is plain text.
        return re.compile(re.escape(pattern))


def _class(group: str) -> str:
    negated = group.startswith("[^")
    inside = group[2 if negated else 1 : -1].replace("[", r"\[").replace("&&", r"&\&")
    return f"(?!/)[{'^' if negated else ''}{inside}]"
