"""Finds known failures in the output of a tool, while the output passes."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.runner.failures.known_failures import KNOWN
from gpuhost.runner.failures.signature import Signature

# A tool that tries again: it fails only if it says so later.
TRIES_AGAIN = re.compile(r"\b[Rr]etry(?:ing)?\b|^Ign:\d+ ")
# The beginning of a line is enough to recognize it, and no pattern is slow on it.
LENGTH = 1000


@dataclass(frozen=True)
class Match:
    """A known failure, and the line that shows it."""

    signature: Signature
    meaning: str
    fix: str
    line: str


class Matches:
    """The first line of each known failure. The lines themselves are not kept.

    + known: the first one that matches decides
    """

    def __init__(self, known: tuple[Signature, ...] = KNOWN, lines: Iterable[str] = ()) -> None:
        self.known = known
        self._found: dict[Signature, Match] = {}
        for line in lines:
            self.read(line)

    def read(self, line: str) -> None:
        line = line.strip()[:LENGTH]
        for signature in self.known:
            if signature not in self._found and (meaning := signature.match(line)):
                self._found[signature] = Match(signature, *meaning, line)

    def read_earlier(self, line: str) -> None:
        """A line that the tool may have got over."""
        for part in line.split("\r"):
            if not TRIES_AGAIN.search(part):
                self.read(part)

    def first(self, *, weak: bool) -> Match | None:
        """The one that decides, among the weak ones or the others."""
        found = (self._found.get(signature) for signature in self.known)
        return next((one for one in found if one and one.signature.weak == weak), None)
