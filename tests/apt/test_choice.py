"""Which mirror `auto` chooses."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

import pytest

from gpuhost.domain.apt.choice import Probe, SuiteRelease, answered, release_date, release_urls
from gpuhost.domain.apt.mirrors import mirror_called

NOW = datetime(2026, 11, 21, 12, tzinfo=timezone.utc)
WEEK = timedelta(days=7)


def probe(name: str, *releases: SuiteRelease) -> Probe:
    return Probe(mirror_called(name, https=True), releases)


def release(suite: str, days: float) -> SuiteRelease:
    return SuiteRelease(suite, NOW - timedelta(days=days))


FRESH = (release("noble", 900), release("noble-updates", 0.2))
DEAD = (SuiteRelease("noble", error="Could not connect"),)


@pytest.mark.parametrize(
    ("releases", "refusal"),
    [
        (FRESH, None),
        ((release("noble-updates", 7),), None),
        ((release("noble-updates", 7.1),), "7 days old, at most 7 are allowed"),
        ((release("noble-updates", -1),), None),
        ((*FRESH, SuiteRelease("noble-backports", error="404  Not Found")), "noble-backports: 404"),
        ((*FRESH, release("noble-security", 1)), None),
        ((*FRESH, release("noble-security", 9)), "9 days old, at most 7 are allowed"),
        ((*FRESH, SuiteRelease("noble-security")), "its Release files have no date"),
        ((SuiteRelease("noble"),), "its Release files have no date"),
        ((), "its Release files have no date"),
    ],
)
def test_a_refusal_says_why(releases: tuple[SuiteRelease, ...], refusal: str | None) -> None:
    reason = probe("ustc", *releases).refusal(NOW, WEEK)
    assert (reason or "").startswith(refusal or "")
    assert (reason is None) == (refusal is None)


@pytest.mark.parametrize(
    ("text", "date"),
    [
        ("Sat, 21 Nov 2026 12:00:00 UTC", NOW),
        ("Sat, 21 Nov 2026 12:00:00 +0000", NOW),
        ("Sat, 21 Nov 2026 20:00:00 +0800", NOW),
        ("yesterday", None),
        ("", None),
    ],
)
def test_the_date_of_a_release_file(text: str, date: datetime | None) -> None:
    assert release_date(text) == date


def test_answers_are_matched_by_url() -> None:
    mirror = mirror_called("ustc", https=True)
    urls = release_urls(mirror, [("ubuntu", "noble"), ("ubuntu", "noble-updates")])
    assert urls == [
        ("noble", "https://mirrors.ustc.edu.cn/ubuntu/dists/noble/InRelease"),
        ("noble-updates", "https://mirrors.ustc.edu.cn/ubuntu/dists/noble-updates/InRelease"),
    ]
    answers = f"""{urls[1][1]}\tfailed\tE: 404  Not Found
{urls[0][1]}\tok\tSat, 21 Nov 2026 12:00:00 UTC
garbage
"""
    assert answered(mirror, urls, answers).releases == (
        SuiteRelease("noble", NOW),
        SuiteRelease("noble-updates", error="E: 404  Not Found"),
    )


def test_no_answer_is_a_refusal() -> None:
    mirror = mirror_called("ustc", https=True)
    urls = release_urls(mirror, [("debian", "trixie")])
    assert answered(mirror, urls, "").refusal(NOW, WEEK) == "trixie: no answer"
