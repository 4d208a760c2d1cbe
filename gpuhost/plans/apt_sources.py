"""The package sources, as a host records them at its last deploy."""

from __future__ import annotations

from gpuhost.domain.apt.documents import entries
from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.apt.repository import sources_path
from gpuhost.domain.redact import redact_credentials
from gpuhost.plans import docker_packages, nvidia_repository, toolkit_packages
from gpuhost.snapshot import NotRead, Snapshot

FACT = "apt_sources"
# Checks of their own compare the content of these.
CHECKED_ELSEWHERE = frozenset(
    sources_path(name)
    for name in (docker_packages.NAME, nvidia_repository.NAME, toolkit_packages.NAME)
)


def on_record(snapshot: Snapshot) -> dict[str, list[str]] | None:
    """The sources for the host's record; None: they cannot be read."""
    try:
        return {FACT: sorted(definitions(snapshot))}
    except NotRead:
        return None


def definitions(snapshot: Snapshot) -> dict[str, Entry]:
    """Every active source as text, except those whose content other checks compare."""
    every = entries(snapshot.apt.sources.files)
    return {_in_words(path, entry): entry for path, entry in every if path not in CHECKED_ELSEWHERE}


def _in_words(path: str, entry: Entry) -> str:
    """Without the text of a key inside the file: it is long, and changes with every renewal."""
    # The collector masks logins in the form that apt knows; a person may write another form.
    uris = map(redact_credentials, entry.uris)
    words = (*entry.types, *uris, *entry.suites, *entry.components)
    key = entry.signed_by or "any key"
    signed = "a key in the file" if "\n" in key else key
    return f"{path}: {' '.join(words)} (signed by {signed})"
