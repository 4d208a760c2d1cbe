"""NVIDIA's apt repository, and what the driver needs of the distribution's own archive."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.domain.apt import repository as apt
from gpuhost.domain.apt.documents import entries
from gpuhost.domain.apt.entry import Entry, SourceFile
from gpuhost.domain.apt.vendors import Archive
from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.repository import BASE, System, repository
from gpuhost.plans.apt_archives import distribution_archives, owners
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

ARCHIVE_SOURCES = "/etc/apt/sources.list.d/gpuhost-nvidia-components.sources"


def system_of(snapshot: Snapshot) -> System:
    """The host as NVIDIA's repositories and packages name systems."""
    return System(
        snapshot.system.distribution, snapshot.system.version, snapshot.system.architecture
    )


# Of the repository's files.
NAME = "nvidia"


def repository_for(snapshot: Snapshot, settings: Settings) -> apt.Repository:
    """NVIDIA's repository for this release, as apt should have it.

    Raises UnknownRepositoryError.
    """
    system = system_of(snapshot)
    theirs = repository(system, settings.nvidia_mirror or BASE)
    return apt.Repository(
        name=NAME,
        uri=theirs.url,
        suite="/",
        component="",
        architecture=system.architecture,
        key_url=theirs.key_url,
        fingerprint=settings.nvidia_key_fingerprint or theirs.key_fingerprint,
        archive=Archive("nvidia-cuda", theirs.name),
    )


def preferences() -> str:
    """NVIDIA's repository preferred to the distribution's, as its cuda-keyring package has it: both
    use the same names for packages that cannot be mixed."""
    return "Package: *\nPin: release l=NVIDIA CUDA\nPin-Priority: 600\n"


def components_file(snapshot: Snapshot, components: tuple[str, ...]) -> SourceFile | None:
    """The distribution's own archive again, with the components that are not enabled.

    None: nothing is missing. Raises NoDriverPackagesError if the archive is not found.
    """
    sources = snapshot.apt.sources
    own = distribution_archives(snapshot)
    known = [entry for _, entry in entries(sources.files) if own.recognises(entry)]
    if not components:
        return None
    if not any("main" in entry.components for entry in known):
        raise NoDriverPackagesError(
            f"no source is recognised as {system_of(snapshot)}'s own archive "
            f"({'; '.join(owners(snapshot)) or 'apt has no sources'}): add one with "
            f"{' '.join(components)} by hand"
        )
    stanzas = list(_stanzas(known, components))
    if not stanzas:
        return None
    if any("@" in stanza for stanza in stanzas):
        raise NoDriverPackagesError(
            f"a URI of {system_of(snapshot)}'s own archive holds a password, which belongs in "
            f"/etc/apt/auth.conf.d: add {' '.join(components)} by hand"
        )
    head = "# Written by gpuhost: where the NVIDIA driver comes from.\n"
    before = next((f.content for f in sources.files if f.path == ARCHIVE_SOURCES), head)
    return SourceFile(ARCHIVE_SOURCES, before + "\n" + "\n".join(stanzas))


def _stanzas(known: list[Entry], components: tuple[str, ...]) -> Iterator[str]:
    for entry in known:
        if "deb" not in entry.types or "main" not in entry.components:
            continue
        present = {
            component
            for other in known
            if set(entry.suites) <= set(other.suites) and "deb" in other.types
            for component in other.components
        }
        missing = [component for component in components if component not in present]
        if missing:
            signed = f"Signed-By: {entry.signed_by}\n" if entry.signed_by else ""
            yield (
                f"Types: deb\nURIs: {' '.join(entry.uris)}\nSuites: {' '.join(entry.suites)}\n"
                f"Components: {' '.join(missing)}\n{signed}"
            )
