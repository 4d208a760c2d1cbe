"""Where packages come from beside what is declared: what came or went since the last deploy."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.finding import Verdict, later, ok, skip, warn
from gpuhost.checks.host.apt import plan
from gpuhost.checks.registry import check
from gpuhost.domain.apt.archive import OWN_FILES, OwnArchives
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.apt.mirrors import ARCHIVES
from gpuhost.domain.redact import redact_credentials
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

FACT = "apt_sources"
# Their own checks judge them by content.
JUDGED = frozenset(
    f"/etc/apt/sources.list.d/{name}.sources"
    for name in ("docker", "nvidia", "nvidia-container-toolkit")
)

# What somebody else's file said is missed by nobody; where security updates come from is.
OWN = tuple(f"{path}: " for path in OWN_FILES)


def on_record(snapshot: Snapshot) -> dict[str, list[str]] | None:
    """What the host is to remember of its sources; None: they cannot be read."""
    try:
        return {FACT: sorted(_definitions(snapshot))}
    except NotRead:
        return None


def _definitions(snapshot: Snapshot) -> dict[str, Entry]:
    """Every active definition in words, but for those that other checks judge by content."""
    every = entries(snapshot.apt.sources.files)
    return {_in_words(path, entry): entry for path, entry in every if path not in JUDGED}


def _in_words(path: str, entry: Entry) -> str:
    """A key that stands in the file itself is long, and changes with every renewal."""
    # The collector masks what apt takes for a login; a person may write another.
    uris = map(redact_credentials, entry.uris)
    words = (*entry.types, *uris, *entry.suites, *entry.components)
    key = entry.signed_by or "any key"
    signed = "a key in the file" if "\n" in key else key
    return f"{path}: {' '.join(words)} (signed by {signed})"


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
    found = _definitions(snapshot)
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
