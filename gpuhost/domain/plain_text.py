"""Text from a host, safe to print."""

from __future__ import annotations


def plain(text: str) -> str:
    """Replace control characters, with which a hostile host could control the terminal."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
