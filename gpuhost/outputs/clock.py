"""Times on screen: to the minute, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def minute(epoch: float | None) -> str:
    """ "2026-11-22 04:05"; "" if unknown, "?" if not a valid time."""
    if not epoch:
        return ""
    try:
        return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"
