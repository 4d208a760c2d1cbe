"""A known failure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from shlex import quote


@dataclass(frozen=True)
class Signature:
    """A text that a tool prints, and what it means.

    + pattern: a regular expression; `meaning` and `fix` may contain its named groups as {name}
    + meaning: one line, for a person who does not know the tool
    + fix: one instruction
    + weak: often only the consequence of something that was printed earlier, which then decides
    """

    pattern: str
    meaning: str
    fix: str
    weak: bool = False

    def match(self, line: str) -> tuple[str, str] | None:
        match = re.search(self.pattern, line)
        if match is None:
            return None
        groups = {name: value or "" for name, value in match.groupdict().items()}
        # A group without a match leaves a double space, or nothing after a colon.
        words = " ".join(self.meaning.format(**groups).split()).rstrip(": ")
        # Its commands are pasted into a shell of root, and a name may be anything.
        quoted = {name: value and quote(value) for name, value in groups.items()}
        return words, self.fix.format(**quoted)
