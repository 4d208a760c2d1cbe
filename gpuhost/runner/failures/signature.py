"""A text by which a failure is known."""

from __future__ import annotations

import re
from dataclasses import dataclass


@dataclass(frozen=True)
class Signature:
    """A text that is known, and what follows from it.

    + pattern: a regular expression; its named groups may stand in `said` and `fix` as {name}
    + said: one line, for a person who does not know the tool
    + fix: what to do next
    """

    pattern: str
    said: str
    fix: str

    def match(self, line: str) -> tuple[str, str] | None:
        matched = re.search(self.pattern, line)
        if matched is None:
            return None
        words = {name: value or "" for name, value in matched.groupdict().items()}
        # A group that did not take part leaves its spaces.
        return " ".join(self.said.format(**words).split()), self.fix.format(**words)
