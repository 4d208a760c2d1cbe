"""Where packages come from beside what is declared: what came or went since the last deploy."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.finding import Verdict, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.apt.archive import OWN_FILES, OwnArchives
from gpuhost.domain.apt.documents import own_archives
from gpuhost.domain.apt.mirrors import ARCHIVES
from gpuhost.plans.apt import plan
from gpuhost.plans.apt_sources import FACT, definitions
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# What somebody else's file said is missed by nobody; where security updates come from is.
OWN = tuple(f"{path}: " for path in OWN_FILES)


@check(
    "apt.sources",
    "No source of packages was added since the last deploy, none of the distribution's is gone.",
)
def sources(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    if wanted is None or wanted.files:
        return later("apt.mirror comes first")
    before = snapshot.applied.facts.get(FACT) if snapshot.applied else None
    if snapshot.applied is None or not isinstance(before, list):
        return skip("no run of the deploy has put them on record")
    found = definitions(snapshot)
    added = [text for text in found if text not in before]
    gone = [str(text) for text in before if text not in found and str(text).startswith(OWN)]
    if settings.apt_mirror:
        # What is the distribution's is apt.mirror's matter.
        own = _own(snapshot)
        added, gone = [text for text in added if not own.has(found[text])], []
    told = [f"added: {text}" for text in added] + [f"gone: {text}" for text in gone]
    when = f"{datetime.fromtimestamp(snapshot.applied.at, timezone.utc):%Y-%m-%d}"
    expected = f"the sources of {when}"
    if not told:
        return ok(f"{len(found)} as on {when}", expected=expected)
    return warn(
        expected,
        "; ".join(told),
        fix="root's programs come from there too: undo it, or run the deploy again to accept it",
    )


def _own(snapshot: Snapshot) -> OwnArchives:
    found = snapshot.apt.sources
    mirror = found.record.chosen() if found.record else None
    known = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
    return own_archives(found.files, found.distribution, known)
