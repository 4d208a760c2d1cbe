"""The distribution's packages come from where the settings say, and are fresh."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.choice import Release, newest_age
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.duplicates import duplicates
from gpuhost.domain.apt.mirrors import ARCHIVES, Mirror
from gpuhost.domain.apt.record import Record
from gpuhost.plans.apt import CLOUD_INIT_TEXT, keeps_sources, plan, refusal
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import CLOUD_INIT_APT, list_file

ORIGINAL = "the original sources"
AGAIN = "run the deploy again"


@check("apt.mirror", "The distribution's packages come from `apt_mirror`, or from where they came.")
def mirror(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    before = snapshot.apt.sources.record
    if settings.apt_mirror and not snapshot.apt.sources.own_suites():
        return fail(
            settings.apt_mirror,
            f"no source of {snapshot.system.distribution}'s own archive is active",
            fix="have it in /etc/apt/sources.list.d first, then run the deploy again",
        )
    if wanted is None:
        return fail(
            f"one of {', '.join(settings.apt_mirror_candidates)}", "none chosen yet", fix=AGAIN
        )
    chosen = wanted.record.chosen() if wanted.record else None
    expected = chosen.base if chosen else ORIGINAL
    if why := refusal(snapshot, wanted):
        return fail(expected, "left as they are", evidence=why, fix="mend the file, then " + AGAIN)
    if snapshot.apt.interrupted:
        return fail(expected, "a change began and did not end", fix=AGAIN)
    if not wanted.is_empty:
        paths = ", ".join(file.path for file in wanted.files) or "the record"
        actual = f"{paths} not as declared"
        return fail(
            expected, actual, evidence=f"before: {before.base}" if before else "", fix=AGAIN
        )
    if settings.apt_mirror and not chosen and wanted.record:
        return warn(
            f"one of {', '.join(settings.apt_mirror_candidates)}",
            f"{ORIGINAL}: no candidate would do",
            evidence=_reasons(wanted.record),
            fix="name a mirror in apt_mirror or apt_mirror_candidates",
        )
    return ok(expected, evidence=_reasons(wanted.record) if wanted.record else "")


@check("apt.fresh", "At apt's last update the mirror was not older than `apt_mirror_max_age_days`.")
def fresh(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    chosen = wanted.record.chosen() if wanted and wanted.record else None
    if chosen is None or wanted is None or not wanted.is_empty:
        return skip("no mirror is in use")
    age = _age_at_last_update(snapshot, chosen)
    if age is None:
        return skip(f"nothing was fetched from {chosen.base} yet")
    expected = f"at most {settings.apt_mirror_max_age_days} days"
    actual = f"{max(age.days, 0)} days"
    if age <= timedelta(days=settings.apt_mirror_max_age_days):
        return ok(actual, expected=expected)
    if settings.apt_mirror == "auto":
        return fail(expected, actual, evidence=chosen.base, fix=f"{AGAIN}: auto takes another")
    return warn(expected, actual, evidence=chosen.base, fix="name another in apt_mirror")


@check("apt.duplicates", "No archive of the distribution is defined twice.")
def once(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    if wanted is None or wanted.files:
        return later("apt.mirror comes first")
    twice = duplicates(snapshot.apt.sources.files, snapshot.apt.sources.distribution)
    if not twice:
        return ok("each archive once")
    return warn(
        "each archive once",
        f"{len(twice)} defined again",
        evidence="; ".join(twice),
        fix="take them out, or set apt_mirror, which switches the second ones off",
    )


@check("apt.cloud_init", "cloud-init leaves apt's sources alone while they are a mirror's.")
def cloud_init(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    if not snapshot.apt.cloud_init:
        return skip("no cloud-init")
    if wanted is None:
        return skip("no mirror is chosen yet")
    told = snapshot.apt.keeps_sources == CLOUD_INIT_TEXT
    if keeps_sources(wanted):
        return ok("told") if told else fail(CLOUD_INIT_APT, "not as declared", fix=AGAIN)
    if snapshot.apt.keeps_sources is None:
        return skip("no mirror is in use")
    return fail(f"no {CLOUD_INIT_APT}", "still there", fix=AGAIN)


def _age_at_last_update(snapshot: Snapshot, chosen: Mirror) -> timedelta | None:
    """How old the newest suite was when apt last fetched; security is judged by its own archive."""
    known = [chosen.uri(archive) for archive in ARCHIVES]
    sources = snapshot.apt.sources
    own = own_archives(sources.files, sources.distribution, known)
    dates = {release.file: release.date for release in snapshot.apt.releases}
    releases = [
        Release(suite, date=dates[name])
        for _, entry in entries(sources.files)
        if own.has(entry)
        for uri in entry.uris
        for suite in entry.suites
        if not is_security(suite) and (name := list_file(uri, suite)) in dates
    ]
    if snapshot.apt.updated is None:
        return None
    return newest_age(releases, datetime.fromtimestamp(snapshot.apt.updated, timezone.utc))


def _reasons(record: Record) -> str:
    passed = [f"{name}: {reason}" for name, reason in record.passed_over.items()]
    return "; ".join(["passed over: " + ", ".join(passed)] if passed else [])
