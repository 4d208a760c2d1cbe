"""Which mirror `auto` takes: the first, in the given order, that is reachable and fresh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from gpuhost.apt.mirrors import Mirror


@dataclass(frozen=True)
class Release:
    """One suite at a mirror, as asked from the host.

    + date: `Date` of its InRelease file; None: not read.
    + error: why it could not be read; empty when it could.
    """

    suite: str
    date: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class Probe:
    """What one candidate answered for the suites that the host uses."""

    mirror: Mirror
    releases: tuple[Release, ...]

    def refusal(self, now: datetime, max_age: timedelta) -> str | None:
        """Why the mirror will not do; None: it will.

        The suite of a release changes only with a point release (Debian) or never (Ubuntu), so the
        newest suite counts: `-updates` is signed anew several times a day.
        """
        for release in self.releases:
            if release.error:
                return f"{release.suite}: {release.error}"
        dates = [release.date for release in self.releases if release.date]
        if not dates:
            return "its Release files have no date"
        age = now - max(dates)
        if age > max_age:
            return f"{age.days} days old, at most {max_age.days} are allowed"
        return None


@dataclass(frozen=True)
class Choice:
    """The mirror taken, or None, and why those before it were not."""

    mirror: Mirror | None
    passed_over: dict[str, str] = field(default_factory=dict)


def first_usable(probes: Iterable[Probe], now: datetime, max_age: timedelta) -> Choice:
    """The first candidate that is reachable and fresh."""
    passed_over: dict[str, str] = {}
    for probe in probes:
        refusal = probe.refusal(now, max_age)
        if refusal is None:
            return Choice(probe.mirror, passed_over)
        passed_over[probe.mirror.name] = refusal
    return Choice(None, passed_over)


def release_date(text: str) -> datetime | None:
    """`Date: Sat, 13 Sep 2025 08:00:00 UTC` of a Release file, as an aware time."""
    try:
        date = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
