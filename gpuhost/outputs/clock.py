"""Times for people: to the minute, in UTC."""

from __future__ import annotations

from datetime import datetime, timezone


def minute(epoch: int | None) -> str:
    """ "2026-11-22 04:05"; "" for None, "?" for an invalid time, which a host may have sent."""
    if epoch is None:
        return ""
    try:
        return datetime.fromtimestamp(epoch, timezone.utc).strftime("%Y-%m-%d %H:%M")
    except (OverflowError, OSError, ValueError):
        return "?"
