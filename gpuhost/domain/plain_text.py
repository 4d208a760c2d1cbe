"""A host's words as they may be printed."""

from __future__ import annotations


def plain(text: str) -> str:
    """A host's words without what would steer the terminal: it may not be a friend."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
