"""Words of a host as a shell splits them."""

from __future__ import annotations

import shlex

# shlex needs the square of a word's length. A line of these files has a hundredth of it.
LONGEST = 16_384


def shell_words(text: str, *, comments: bool = False) -> list[str]:
    """What is not a shell's, or too long for one line, is split at its blanks."""
    try:
        return shlex.split(text, comments=comments) if len(text) <= LONGEST else text.split()
    except ValueError:
        return text.split()
