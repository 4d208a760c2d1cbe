"""Package sources that were added or removed since the last deploy."""

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

# A removed source matters only in the distribution's own files: security updates.
OWN = tuple(f"{path}: " for path in OWN_FILES)


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
        own = _own(snapshot)
        added, gone = [text for text in added if not own.has(defined[text])], []
    differences = [f"added: {text}" for text in added] + [f"removed: {text}" for text in gone]
    when = f"{datetime.fromtimestamp(snapshot.applied.at, timezone.utc):%Y-%m-%d}"
    expected = f"the sources of {when}"
    if not differences:
        return ok(f"{len(defined)} as on {when}", expected=expected)
    return warn(
        expected,
        "; ".join(differences),
        fix="undo the change, because packages run programs as root; or run the deploy again to "
        "accept it",
    )


def _own(snapshot: Snapshot) -> OwnArchives:
    sources = snapshot.apt.sources
    mirror = sources.record.chosen() if sources.record else None
    known = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
    return own_archives(sources.files, sources.distribution, known)
