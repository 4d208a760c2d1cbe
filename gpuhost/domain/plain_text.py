"""Text from a host, safe to print."""

from __future__ import annotations


def plain(text: str) -> str:
    """Text without control characters for the terminal: a host is not trusted."""
    return "".join(c if c.isprintable() or c == "\n" else "?" for c in text)
