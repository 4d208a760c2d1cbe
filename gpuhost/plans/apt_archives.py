"""Whose archive each of apt's sources is, and which of them clash with gpuhost's own."""

from __future__ import annotations

from gpuhost.domain.apt.archive import OwnArchives
from gpuhost.domain.apt.clashes import clashes
from gpuhost.domain.apt.conflicts import Definition, definitions, releases
from gpuhost.domain.apt.documents import own_archives
from gpuhost.domain.apt.entry import Entry
from gpuhost.domain.apt.mirrors import ARCHIVES
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.apt.vendors import NAMES, archive_of
from gpuhost.domain.redact import LOGIN, redact_credentials
from gpuhost.snapshot import NotRead, Snapshot

# Vendors whose packages gpuhost installs.
INSTALLED_FROM = ("docker", "nvidia-container-toolkit", "nvidia-cuda")


def distribution_archives(snapshot: Snapshot) -> OwnArchives:
    """The definitions of the distribution's own archive, on its servers or on any mirror."""
    sources = snapshot.apt.sources
    mirror = sources.record.chosen() if sources.record else None
    known = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
    return own_archives(sources.files, sources.distribution, known)


def optional_archives(snapshot: Snapshot) -> tuple[str, ...]:
    """URIs of sources that nothing of gpuhost's comes from, as apt's errors have them: neither the
    distribution's own, nor of a vendor that gpuhost installs from."""
    try:
        own, architecture = distribution_archives(snapshot), snapshot.system.architecture
        optional: dict[str, bool] = {}
        for definition in definitions(snapshot.apt.sources.files):
            for uri, suite in releases(definition.entry, architecture):
                archive = archive_of(uri, suite)
                is_needed = own.recognises(definition.entry) or (
                    archive is not None and archive.vendor in INSTALLED_FROM
                )
                # apt has one word for a medium, whatever its name.
                is_medium = archive is not None and archive.vendor == "medium"
                name = "cdrom:" if is_medium else LOGIN.sub("//", uri.rstrip("/"))
                optional[name] = optional.get(name, True) and not is_needed
    except NotRead:
        return ()
    needed = [name for name, may_fail in optional.items() if not may_fail]
    # apt's error is found by its URI: one that another URI begins with would hide that one's.
    return tuple(
        name
        for name, may_fail in optional.items()
        if may_fail and not any(other.startswith(name) for other in needed)
    )


def clashing(snapshot: Snapshot, repository: Repository) -> list[Definition]:
    """Other definitions of an archive that gpuhost defines itself."""
    sources = snapshot.apt.sources
    return clashes(sources.files, repository, sources.distribution)


def put_aside(snapshot: Snapshot, repository: Repository) -> list[str]:
    """Paths of the files that were moved away because of a repository."""
    apt = snapshot.apt
    theirs = clashes(apt.aside, repository, apt.sources.distribution)
    return list(dict.fromkeys(definition.path for definition in theirs))


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
