"""Moments that a host names: any number of seconds, also one that no calendar has."""

from __future__ import annotations

from datetime import datetime, timezone

LATEST = datetime.max.replace(tzinfo=timezone.utc, microsecond=0)


def utc(epoch: float) -> datetime:
    """The moment; the first or the last one of the calendar, if it is out of range."""
    return datetime.fromtimestamp(min(max(epoch, 0), LATEST.timestamp()), timezone.utc)
