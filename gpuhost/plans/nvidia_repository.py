"""NVIDIA's apt repository, and what the driver needs of the distribution's own archive."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.domain.apt import repository as apt
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.entry import Entry, SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES
from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.repository import ARCHITECTURES, BASE, KEYS, System, repository
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.request import Request

ARCHIVE_SOURCES = "/etc/apt/sources.list.d/gpuhost-nvidia-components.sources"
# Left behind by older instructions and NVIDIA's cuda-keyring package: other files that name the
# same repository with another key stop apt.
OTHER_LISTS = (
    *(
        f"/etc/apt/sources.list.d/cuda-{name}-{machine}.{ending}"
        for name in KEYS
        for machine in ARCHITECTURES.values()
        for ending in ("list", "sources")
    ),
    "/etc/apt/sources.list.d/cuda.list",
)


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
        clashes=OTHER_LISTS,
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
    mirror = sources.record.chosen() if sources.record else None
    at_mirror = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
    own = own_archives(sources.files, sources.distribution, at_mirror)
    known = [entry for _, entry in entries(sources.files) if own.has(entry)]
    if not components:
        return None
    if not any("main" in entry.components for entry in known):
        raise NoDriverPackagesError(
            f"apt's sources do not show where {system_of(snapshot)} comes from: "
            f"add {' '.join(components)} to them by hand"
        )
    stanzas = list(_stanzas(known, components))
    if not stanzas:
        return None
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
            if set(entry.suites) <= set(other.suites) and set(entry.uris) & set(other.uris)
            for component in other.components
        }
        missing = [component for component in components if component not in present]
        if missing:
            signed = f"Signed-By: {entry.signed_by}\n" if entry.signed_by else ""
            yield (
                f"Types: deb\nURIs: {' '.join(entry.uris)}\nSuites: {' '.join(entry.suites)}\n"
                f"Components: {' '.join(missing)}\n{signed}"
            )


def request(settings: Settings) -> Request:
    return Request(plain=OTHER_LISTS)
