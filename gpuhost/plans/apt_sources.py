"""The sources of packages that a host remembers from its last deploy."""

from __future__ import annotations

from gpuhost.domain.apt.documents import entries
from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.redact import redact_credentials
from gpuhost.snapshot import NotRead, Snapshot

FACT = "apt_sources"
# Their own checks judge them by content.
JUDGED = frozenset(
    f"/etc/apt/sources.list.d/{name}.sources"
    for name in ("docker", "nvidia", "nvidia-container-toolkit")
)


def on_record(snapshot: Snapshot) -> dict[str, list[str]] | None:
    """What the host is to remember of its sources; None: they cannot be read."""
    try:
        return {FACT: sorted(definitions(snapshot))}
    except NotRead:
        return None


def definitions(snapshot: Snapshot) -> dict[str, Entry]:
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
