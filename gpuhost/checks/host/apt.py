"""The distribution's packages come from the declared source, and are fresh."""

from __future__ import annotations

from datetime import timedelta

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.choice import SuiteRelease, newest_age
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.duplicates import duplicates
from gpuhost.domain.apt.mirrors import ARCHIVES, Mirror
from gpuhost.domain.apt.record import Record
from gpuhost.domain.apt.release_files import list_file
from gpuhost.domain.moment import utc
from gpuhost.plans.apt import CLOUD_INIT_TEXT, keeps_sources, plan, refusal
from gpuhost.plans.apt_archives import owners
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import CLOUD_INIT_APT

ORIGINAL = "the original sources"


@check(
    "apt.mirror",
    "The distribution's packages come from `apt_mirror`, or from the original sources.",
)
def mirror(snapshot: Snapshot, settings: Settings) -> Verdict:
    changes = plan(snapshot, settings)
    record = snapshot.apt.sources.record
    if settings.apt_mirror and not snapshot.apt.sources.own_suites():
        return fail(
            settings.apt_mirror,
            f"no source is recognised as {snapshot.system.distribution}'s own archive",
            evidence="; ".join(owners(snapshot)) or "apt has no sources",
            fix="add one to /etc/apt/sources.list.d with the distribution's keyring as Signed-By, "
            "then run the deploy again",
        )
    if changes is None:
        return fail(
            f"one of {', '.join(settings.apt_mirror_candidates)}",
            "no mirror is chosen yet",
            fix=AGAIN,
        )
    chosen = changes.record.chosen() if changes.record else None
    expected = chosen.base if chosen else ORIGINAL
    if reason := refusal(snapshot, changes):
        return fail(
            expected,
            "the sources were not changed",
            evidence=reason,
            fix="correct the file, then " + AGAIN,
        )
    if snapshot.apt.interrupted:
        return fail(expected, "a change was interrupted", fix=AGAIN)
    if not changes.is_empty:
        paths = ", ".join(file.path for file in changes.files) or "the record"
        actual = f"differs: {paths}"
        return fail(
            expected, actual, evidence=f"before: {record.base}" if record else "", fix=AGAIN
        )
    if settings.apt_mirror and not chosen and changes.record:
        return warn(
            f"one of {', '.join(settings.apt_mirror_candidates)}",
            f"{ORIGINAL}: no candidate works",
            evidence=_reasons(changes.record),
            fix="name a mirror in apt_mirror or apt_mirror_candidates",
        )
    return ok(expected, evidence=_reasons(changes.record) if changes.record else "")


@check(
    "apt.fresh",
    "At the last `apt-get update` the mirror was not older than `apt_mirror_max_age_days`.",
)
def fresh(snapshot: Snapshot, settings: Settings) -> Verdict:
    changes = plan(snapshot, settings)
    chosen = changes.record.chosen() if changes and changes.record else None
    if chosen is None or changes is None or not changes.is_empty:
        return skip("no mirror is in use")
    age = _age_at_last_update(snapshot, chosen)
    if age is None:
        return skip(f"apt has not fetched anything from {chosen.base} yet")
    expected = f"at most {settings.apt_mirror_max_age_days} days"
    actual = f"{max(age.days, 0)} days"
    if age <= timedelta(days=settings.apt_mirror_max_age_days):
        return ok(actual, expected=expected)
    if settings.apt_mirror == "auto":
        return fail(
            expected, actual, evidence=chosen.base, fix=f"{AGAIN}: auto chooses another mirror"
        )
    return warn(expected, actual, evidence=chosen.base, fix="set another apt_mirror")


@check("apt.duplicates", "No archive of the distribution is defined twice.")
def no_duplicates(snapshot: Snapshot, settings: Settings) -> Verdict:
    changes = plan(snapshot, settings)
    if changes is None or changes.files:
        return later("see apt.mirror first")
    twice = duplicates(snapshot.apt.sources.files, snapshot.apt.sources.distribution)
    if not twice:
        return ok("each archive once")
    return warn(
        "each archive once",
        f"{len(twice)} defined twice",
        evidence="; ".join(twice),
        fix="remove the duplicates, or set apt_mirror, which disables them",
    )


@check("apt.cloud_init", "cloud-init does not rewrite apt's sources while a mirror is in use.")
def cloud_init(snapshot: Snapshot, settings: Settings) -> Verdict:
    changes = plan(snapshot, settings)
    if not snapshot.apt.cloud_init:
        return skip("cloud-init is not installed")
    if changes is None:
        return skip("no mirror is chosen yet")
    is_kept = snapshot.apt.keeps_sources == CLOUD_INIT_TEXT
    if keeps_sources(changes):
        return ok("configured") if is_kept else fail(CLOUD_INIT_APT, "differs", fix=AGAIN)
    if snapshot.apt.keeps_sources is None:
        return skip("no mirror is in use")
    return fail(f"no {CLOUD_INIT_APT}", "it still exists", fix=AGAIN)


def _age_at_last_update(snapshot: Snapshot, chosen: Mirror) -> timedelta | None:
    """Age of the newest suite at the last update, without security suites, a separate archive."""
    known = [chosen.uri(archive) for archive in ARCHIVES]
    sources = snapshot.apt.sources
    own = own_archives(sources.files, sources.distribution, known)
    dates = {release.file: release.date for release in snapshot.apt.releases}
    releases = [
        SuiteRelease(suite, date=dates[name])
        for _, entry in entries(sources.files)
        if own.has(entry)
        for uri in entry.uris
        for suite in entry.suites
        if not is_security(suite) and (name := list_file(uri, suite)) in dates
    ]
    if snapshot.apt.updated is None:
        return None
    return newest_age(releases, utc(snapshot.apt.updated))


def _reasons(record: Record) -> str:
    reasons = [f"{name}: {reason}" for name, reason in record.passed_over.items()]
    return f"not suitable: {', '.join(reasons)}" if reasons else ""
