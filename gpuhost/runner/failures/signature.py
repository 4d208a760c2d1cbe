"""A known failure."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """A text that a tool prints, and what it means.

    + pattern: a regular expression; `meaning` and `fix` may contain its named groups as {name}
    + meaning: one line, for a person who does not know the tool
    + fix: one instruction
    """

    pattern: str
    meaning: str
    fix: str

    def match(self, line: str) -> tuple[str, str] | None:
        match = re.search(self.pattern, line)
        if match is None:
            return None
        groups = {name: value or "" for name, value in match.groupdict().items()}
        # A group without a match leaves a double space.
        return " ".join(self.meaning.format(**groups).split()), self.fix.format(**groups)
