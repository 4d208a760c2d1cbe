"""Whether apt can read its sources, and which were added or removed since the last deploy."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.apt.archive import OWN_FILES
from gpuhost.domain.apt.conflicts import conflicts, malformed
from gpuhost.domain.apt.other_releases import other_releases
from gpuhost.domain.moment import utc
from gpuhost.domain.redact import redact_credentials
from gpuhost.plans.apt import plan
from gpuhost.plans.apt_archives import distribution_archives
from gpuhost.plans.apt_sources import FACT, definitions
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# A removed source matters only in the distribution's own files: security updates.
OWN = tuple(f"{path}: " for path in OWN_FILES)


@check("apt.readable", "apt can read its sources: each line, and no archive with two keys.")
def readable(snapshot: Snapshot, settings: Settings) -> Verdict:
    sources = snapshot.apt.sources
    broken = malformed(sources.files)
    architecture = sources.distribution.architecture
    twice = conflicts(sources.files, architecture, snapshot.apt.version)
    if not broken and not twice:
        return ok(f"{len(definitions(snapshot))} sources")
    reasons = [f"{place} cannot be read" for place in broken]
    reasons += [f"{c.one} and {c.other}: {c.archive} with another {c.option}" for c in twice]
    places = broken or [str(c.other) for c in twice]
    return fail(
        "apt reads its sources",
        "apt refuses every source",
        evidence="; ".join(map(redact_credentials, reasons)),
        fix=f"run the deploy again, which removes what clashes with gpuhost's own sources; or "
        f"correct {places[0]} by hand",
    )


@check(
    "apt.sources",
    "Since the last deploy no package source was added, and none of the distribution's removed.",
)
def sources(snapshot: Snapshot, settings: Settings) -> Verdict:
    changes = plan(snapshot, settings)
    if changes is None or changes.files:
        return later("see apt.mirror first")
    before = snapshot.applied.facts.get(FACT) if snapshot.applied else None
    if snapshot.applied is None or not isinstance(before, list):
        return skip("no deploy has recorded the sources yet")
    defined = definitions(snapshot)
    added = [text for text in defined if text not in before]
    gone = [str(text) for text in before if text not in defined and str(text).startswith(OWN)]
    if settings.apt_mirror:
        # apt.mirror checks the distribution's own sources.
        own = distribution_archives(snapshot)
        added, gone = [text for text in added if not own.has(defined[text])], []
    differences = [f"added: {text}" for text in added] + [f"removed: {text}" for text in gone]
    when = f"{utc(snapshot.applied.at):%Y-%m-%d}"
    expected = f"the sources of {when}"
    if not differences:
        return ok(f"{len(defined)} as on {when}", expected=expected)
    return warn(
        expected,
        "; ".join(differences),
        fix="undo the change, because packages run programs as root; or run the deploy again to "
        "accept it",
    )


@check("apt.release", "The distribution's packages come from the release that the host runs.")
def release(snapshot: Snapshot, settings: Settings) -> Verdict:
    sources = snapshot.apt.sources
    codename = sources.distribution.codename
    codenames = {each.file: each.codename for each in snapshot.apt.releases if each.codename}
    others = other_releases(sources.files, sources.distribution, codenames)
    expected = f"only {codename}"
    if not others:
        return ok(codename or "not named", expected=expected)
    places = "; ".join(map(str, others))
    if snapshot.apt.pinned:
        return ok(f"{codename}, and others by preference", expected=expected, evidence=places)
    newer = [each for each in others if each.newer]
    if not newer:
        return warn(
            expected,
            f"older releases too: {places}",
            fix="remove them, unless a package needs them: they get no security updates after "
            "their end",
        )
    return fail(
        expected,
        f"apt installs packages of another release on {codename}: {places}",
        evidence="an installation would upgrade parts of the system, such as libc6",
        fix=f"name {codename} there, or finish the upgrade of the whole system first",
    )
