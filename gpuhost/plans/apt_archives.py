"""Whose archive each of apt's sources is, and which of them clash with gpuhost's own."""

from __future__ import annotations

import re

from gpuhost.domain.apt.archive import OwnArchives
from gpuhost.domain.apt.clashes import clashes, conflicting, rest
from gpuhost.domain.apt.conflicts import Definition, definitions, releases
from gpuhost.domain.apt.documents import own_archives
from gpuhost.domain.apt.entry import Entry, SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES
from gpuhost.domain.apt.originals import OURS
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendors import NAMES, archive_of
from gpuhost.domain.redact import LOGIN, redact_credentials
from gpuhost.snapshot import NotRead, Snapshot


def distribution_archives(snapshot: Snapshot) -> OwnArchives:
    """The definitions of the distribution's own archive, on its servers or on any mirror."""
    sources = snapshot.apt.sources
    mirror = sources.record.chosen() if sources.record else None
    known = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
    return own_archives(sources.files, sources.distribution, known)


def optional_archives(snapshot: Snapshot, added: Repository | None = None) -> tuple[str, ...]:
    """URIs of sources that are neither the distribution's own nor gpuhost's, as apt's errors have
    them: without one of these an installation may succeed.

    + added: a repository that gpuhost has added since the reading
    """
    try:
        files, architecture = snapshot.apt.sources.files, snapshot.system.architecture
        own = distribution_archives(snapshot)
    except NotRead:
        return ()
    ours = {file.path for file in files if file.content.startswith(OURS)}
    needed = {_in_errors(added.uri)} if added else set()
    others: set[str] = set()
    for definition in definitions(files):
        is_needed = definition.path in ours or own.recognises(definition.entry)
        for uri, _ in releases(definition.entry, architecture):
            (needed if is_needed and not MEDIUM.match(uri) else others).add(_in_errors(uri))
    # A URI that another one begins with would hide that one's error.
    return tuple(sorted(uri for uri in others if not any(name.startswith(uri) for name in needed)))


# The installer's: the distribution's own, and gone with the medium.
MEDIUM = re.compile(r"cdrom:|file:(//)?(/media)?/(cdrom|apt)\d*(/|$)")


def _in_errors(uri: str) -> str:
    """apt has another word for a medium, and no login."""
    return "cdrom:" if uri.startswith("cdrom:") else LOGIN.sub("//", uri.rstrip("/"))


SPLIT = "give the rest a definition of its own, or set adopt=True to put it aside"


def clashing(snapshot: Snapshot, repository: Repository) -> list[Definition]:
    """Other definitions of an archive that gpuhost defines itself.

    One that has other archives too stays, if apt accepts it beside ours.
    """
    files = snapshot.apt.sources.files
    ours = SourceFile(repository.sources_path, repository.sources)
    others = [file for file in files if file.path != ours.path]
    refused = conflicting(
        [*others, ours], repository.name, repository.architecture, snapshot.apt.version
    )
    found = clashes(files, repository)
    return [each for each in found if each in refused or not rest(each, repository)]


def shared(snapshot: Snapshot, repository: Repository) -> str:
    """Those that have more than the archive, which would be lost with them, for a person."""
    found = {str(each): rest(each, repository) for each in clashing(snapshot, repository)}
    return "; ".join(
        f"{place} has {', '.join(map(redact_credentials, words))} too"
        for place, words in found.items()
        if words
    )


def put_aside(snapshot: Snapshot, repository: Repository) -> list[str]:
    """Paths of the files that were moved away because of a repository."""
    return list(
        dict.fromkeys(d.path for d in clashes(snapshot.apt.aside, repository, anywhere=True))
    )


def owner(entry: Entry, own: OwnArchives, snapshot: Snapshot) -> str:
    """Whose archive a definition is of."""
    distribution = snapshot.apt.sources.distribution
    if own.recognises(entry):
        login = "" if own.has(entry) else ", with a password"
        return f"{distribution.id.capitalize()}'s own archive{login}"
    for uri in entry.uris:
        published = distribution.published(uri, entry)
        for suite in entry.suites:
            if archive := archive_of(uri, suite, published):
                return NAMES[archive.vendor]
        if published.origin:
            return f"of {published.origin}"
    return "not recognised"


def owners(snapshot: Snapshot) -> list[str]:
    """Every active source with its owner, for people."""
    own = distribution_archives(snapshot)
    return [
        f"{d}: {' '.join((*map(redact_credentials, d.entry.uris), *d.entry.suites))}"
        f" ({owner(d.entry, own, snapshot)})"
        for d in definitions(snapshot.apt.sources.files)
    ]
