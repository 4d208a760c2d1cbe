"""Which mirror `auto` chooses: the first, in the given order, that is reachable and fresh."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone
from email.utils import parsedate_to_datetime

from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.mirrors import Archive, Mirror


@dataclass(frozen=True)
class SuiteRelease:
    """One suite of a mirror, as the host fetched it.

    + date: `Date` of its InRelease file; None: not read.
    + error: why it could not be read; empty when it could.
    """

    suite: str
    date: datetime | None = None
    error: str = ""


@dataclass(frozen=True)
class Probe:
    """The answer of one candidate for the suites that the host uses."""

    mirror: Mirror
    releases: tuple[SuiteRelease, ...]

    def refusal(self, now: datetime, max_age: timedelta) -> str | None:
        """Why the mirror is not suitable; None: it is.

        The suite of a release changes only with a point release (Debian) or never (Ubuntu), so the
        newest suite counts: `-updates` is signed again several times a day. Security is another
        archive, which a mirror fetches at other times, so its age is compared on its own.
        """
        for release in self.releases:
            if release.error:
                return f"{release.suite}: {release.error}"
        security = [release for release in self.releases if is_security(release.suite)]
        others = [release for release in self.releases if not is_security(release.suite)]
        ages = [newest_age(group, now) for group in (others, security) if group]
        if not ages or None in ages:
            return "its Release files have no date"
        oldest = max(age for age in ages if age is not None)
        if oldest > max_age:
            return f"{oldest.days} days old, at most {max_age.days} are allowed"
        return None


def newest_age(releases: Iterable[SuiteRelease], now: datetime) -> timedelta | None:
    """How old the newest of some suites is; None if none has a date."""
    dates = [release.date for release in releases if release.date]
    return now - max(dates) if dates else None


def release_urls(mirror: Mirror, suites: Iterable[tuple[Archive, str]]) -> list[tuple[str, str]]:
    """What to fetch from a candidate: suite and URL of its InRelease file."""
    return [(suite, f"{mirror.uri(archive)}/dists/{suite}/InRelease") for archive, suite in suites]


def answered(mirror: Mirror, urls: Iterable[tuple[str, str]], answers: str) -> Probe:
    """The answer of a candidate.

    + urls: what was fetched, from `release_urls`
    + answers: lines of URL, `ok` or `failed`, and the file's date or the error, with tabs
    """
    rows = (line.split("\t") for line in answers.splitlines())
    by_url = {row[0]: (row[1], row[2]) for row in rows if len(row) == 3}
    return Probe(mirror, tuple(_release(suite, by_url.get(url)) for suite, url in urls))


def _release(suite: str, answer: tuple[str, str] | None) -> SuiteRelease:
    if answer is None:
        return SuiteRelease(suite, error="no answer")
    result, text = answer
    if result == "ok":
        return SuiteRelease(suite, date=release_date(text))
    return SuiteRelease(suite, error=text.strip() or "could not be fetched")


def release_date(text: str) -> datetime | None:
    """`Date: Sat, 13 Sep 2025 08:00:00 UTC` of a Release file, as an aware time."""
    try:
        date = parsedate_to_datetime(text.strip())
    except (ValueError, TypeError, IndexError, OverflowError):
        return None
    return date if date.tzinfo else date.replace(tzinfo=timezone.utc)
