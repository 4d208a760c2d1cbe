"""The distribution's packages come from where the settings say, and are fresh."""

from __future__ import annotations

from datetime import datetime, timedelta, timezone

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.apt.archive import is_security
from gpuhost.domain.apt.choice import Release, newest_age
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.duplicates import duplicates
from gpuhost.domain.apt.mirrors import ARCHIVES, Mirror, mirror_called
from gpuhost.domain.apt.plan import Plan, to_mirror, to_original
from gpuhost.domain.apt.record import Record
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apt import CLOUD_INIT_APT, list_file

ORIGINAL = "the original sources"
AGAIN = "run the deploy again"
# After so long `auto` asks the candidates again when none of them would do.
ASK_AGAIN = timedelta(days=1)
CLOUD_INIT_TEXT = (
    "# Written by gpuhost: apt's sources are its mirror.\napt:\n  preserve_sources_list: true\n"
)


def time_of(now: Snapshot) -> datetime:
    """The host's own time."""
    return datetime.fromtimestamp(now.system.now, timezone.utc)


def setting(declared: Settings) -> str:
    """What a choice was made for; another setting needs another choice."""
    if declared.apt_mirror == "auto":
        return f"auto: {' '.join(declared.apt_mirror_candidates)}"
    return declared.apt_mirror or ""


def standing_choice(now: Snapshot, declared: Settings) -> Record | None:
    """The mirror that needs no asking: the one named, or the one `auto` chose before."""
    record = now.apt.sources.record
    if record and record.setting == setting(declared) and not _worth_asking(record, now):
        return record
    if declared.apt_mirror in (None, "auto"):
        return None
    mirror = mirror_called(str(declared.apt_mirror), https=now.apt.certificates)
    return choice_of(mirror, now, declared)


def choice_of(
    mirror: Mirror | None,
    now: Snapshot,
    declared: Settings,
    passed_over: dict[str, str] | None = None,
) -> Record:
    """A choice made now; None: no candidate would do."""
    return Record(
        setting=setting(declared),
        mirror=mirror.name if mirror else "",
        base=mirror.base if mirror else "",
        chosen_at=time_of(now).isoformat(),
        passed_over=passed_over or {},
    )


def plan(now: Snapshot, declared: Settings) -> Plan | None:
    """What has to change; None: `auto` has to ask first."""
    if declared.apt_mirror is None:
        return to_original(now.apt.sources)
    choice = standing_choice(now, declared)
    return plan_for(choice, now, declared) if choice else None


def plan_for(choice: Record, now: Snapshot, declared: Settings) -> Plan:
    return to_mirror(now.apt.sources, choice, with_security=declared.apt_mirror_security)


def refusal(now: Snapshot, wanted: Plan | None) -> str:
    """Why the sources cannot be rewritten without loss; empty if they can."""
    files = {file.path for file in (*wanted.files, *wanted.originals)} if wanted else set()
    return "; ".join(
        f"{path} {reason}" for path, reason in now.apt.unreadable.items() if path in files
    )


@check("apt.mirror", "The distribution's packages come from `apt_mirror`, or from where they came.")
def mirror(now: Snapshot, declared: Settings) -> Verdict:
    wanted = plan(now, declared)
    before = now.apt.sources.record
    if declared.apt_mirror and not now.apt.sources.own_suites():
        return fail(
            declared.apt_mirror,
            f"no source of {now.system.distribution}'s own archive is active",
            fix="have it in /etc/apt/sources.list.d first, then run the deploy again",
        )
    if wanted is None:
        return fail(
            f"one of {', '.join(declared.apt_mirror_candidates)}", "none chosen yet", fix=AGAIN
        )
    chosen = wanted.record.chosen() if wanted.record else None
    expected = chosen.base if chosen else ORIGINAL
    if why := refusal(now, wanted):
        return fail(expected, "left as they are", evidence=why, fix="mend the file, then " + AGAIN)
    if now.apt.interrupted:
        return fail(expected, "a change began and did not end", fix=AGAIN)
    if not wanted.is_empty:
        paths = ", ".join(file.path for file in wanted.files) or "the record"
        actual = f"{paths} not as declared"
        return fail(
            expected, actual, evidence=f"before: {before.base}" if before else "", fix=AGAIN
        )
    if declared.apt_mirror and not chosen and wanted.record:
        return warn(
            f"one of {', '.join(declared.apt_mirror_candidates)}",
            f"{ORIGINAL}: no candidate would do",
            evidence=_reasons(wanted.record),
            fix="name a mirror in apt_mirror or apt_mirror_candidates",
        )
    return ok(expected, evidence=_reasons(wanted.record) if wanted.record else "")


@check("apt.fresh", "At apt's last update the mirror was not older than `apt_mirror_max_age_days`.")
def fresh(now: Snapshot, declared: Settings) -> Verdict:
    wanted = plan(now, declared)
    chosen = wanted.record.chosen() if wanted and wanted.record else None
    if chosen is None or wanted is None or not wanted.is_empty:
        return skip("no mirror is in use")
    age = _age_at_last_update(now, chosen)
    if age is None:
        return skip(f"nothing was fetched from {chosen.base} yet")
    expected = f"at most {declared.apt_mirror_max_age_days} days"
    actual = f"{max(age.days, 0)} days"
    if age <= timedelta(days=declared.apt_mirror_max_age_days):
        return ok(actual, expected=expected)
    if declared.apt_mirror == "auto":
        return fail(expected, actual, evidence=chosen.base, fix=f"{AGAIN}: auto takes another")
    return warn(expected, actual, evidence=chosen.base, fix="name another in apt_mirror")


@check("apt.duplicates", "No archive of the distribution is defined twice.")
def once(now: Snapshot, declared: Settings) -> Verdict:
    wanted = plan(now, declared)
    if wanted is None or wanted.files:
        return later("apt.mirror comes first")
    twice = duplicates(now.apt.sources.files, now.apt.sources.distribution)
    if not twice:
        return ok("each archive once")
    return warn(
        "each archive once",
        f"{len(twice)} defined again",
        evidence="; ".join(twice),
        fix="take them out, or set apt_mirror, which switches the second ones off",
    )


@check("apt.cloud_init", "cloud-init leaves apt's sources alone while they are a mirror's.")
def cloud_init(now: Snapshot, declared: Settings) -> Verdict:
    wanted = plan(now, declared)
    if not now.apt.cloud_init:
        return skip("no cloud-init")
    if wanted is None:
        return skip("no mirror is chosen yet")
    told = now.apt.keeps_sources == CLOUD_INIT_TEXT
    if keeps_sources(wanted):
        return ok("told") if told else fail(CLOUD_INIT_APT, "not as declared", fix=AGAIN)
    if now.apt.keeps_sources is None:
        return skip("no mirror is in use")
    return fail(f"no {CLOUD_INIT_APT}", "still there", fix=AGAIN)


def keeps_sources(wanted: Plan) -> bool:
    """Whether cloud-init has to be told to leave the sources alone."""
    return wanted.record is not None and wanted.record.chosen() is not None


def _worth_asking(record: Record, now: Snapshot) -> bool:
    """None would do, and that was a while ago."""
    if record.base:
        return False
    try:
        return time_of(now) - datetime.fromisoformat(record.chosen_at) > ASK_AGAIN
    except (ValueError, TypeError):
        return True


def _age_at_last_update(now: Snapshot, chosen: Mirror) -> timedelta | None:
    """How old the newest suite was when apt last fetched; security is judged by its own archive."""
    known = [chosen.uri(archive) for archive in ARCHIVES]
    sources = now.apt.sources
    own = own_archives(sources.files, sources.distribution, known)
    dates = {release.file: release.date for release in now.apt.releases}
    releases = [
        Release(suite, date=dates[name])
        for _, entry in entries(sources.files)
        if own.has(entry)
        for uri in entry.uris
        for suite in entry.suites
        if not is_security(suite) and (name := list_file(uri, suite)) in dates
    ]
    if now.apt.updated is None:
        return None
    return newest_age(releases, datetime.fromtimestamp(now.apt.updated, timezone.utc))


def _reasons(record: Record) -> str:
    passed = [f"{name}: {reason}" for name, reason in record.passed_over.items()]
    return "; ".join(["passed over: " + ", ".join(passed)] if passed else [])
