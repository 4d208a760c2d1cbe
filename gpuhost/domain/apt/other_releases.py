"""Definitions of the distribution's own archive that are of another release than the host's."""

from __future__ import annotations

from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass, replace

from gpuhost.domain.apt.archive import RELEASE_OF_SUITE, Distribution
from gpuhost.domain.apt.conflicts import Definition, definitions
from gpuhost.domain.apt.documents import own_archives
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.release_files import list_file

# Oldest first. Debian's last two names stand for what is no release yet.
ORDER: Mapping[str, tuple[str, ...]] = {
    "debian": ("buster", "bullseye", "bookworm", "trixie", "forky", "duke", "testing", "sid"),
    "ubuntu": ("bionic", "focal", "jammy", "noble", "plucky", "questing", "resolute", "devel"),
}
SAME = {"unstable": "sid"}
# Another release has these names after each new one: what was fetched decides.
MOVING = ("stable", "oldstable")


@dataclass(frozen=True)
class OtherRelease:
    """+ release: its codename
    + newer: its packages go before the host's own
    """

    definition: Definition
    release: str
    newer: bool

    def __str__(self) -> str:
        return f"{self.definition}: {self.release}"


def other_releases(
    files: Iterable[SourceFile], distribution: Distribution, codenames: Mapping[str, str]
) -> tuple[OtherRelease, ...]:
    """+ codenames: of the Release files that apt has fetched, by their names"""
    files = list(files)
    order = ORDER.get(distribution.id, ())
    if distribution.codename not in order:
        return ()
    own = order.index(distribution.codename)
    found = dict.fromkeys(
        (definition, release)
        for definition in definitions(files)
        if "deb" in definition.entry.types
        for release in _releases(definition, codenames)
        if release in order and release != distribution.codename
    )
    return tuple(
        OtherRelease(definition, release, order.index(release) > own)
        for definition, release in found
        if own_archives(files, replace(distribution, codename=release)).recognises(definition.entry)
    )


def _releases(definition: Definition, codenames: Mapping[str, str]) -> Iterator[str]:
    for suite in definition.entry.suites:
        names = [codenames.get(list_file(uri, suite), "") for uri in definition.entry.uris]
        fetched = next(filter(None, names), "")
        match = RELEASE_OF_SUITE.fullmatch(suite)
        name = match["release"] if match else ""
        if fetched:
            yield fetched.partition("-")[0]
        elif name not in MOVING:
            yield SAME.get(name, name)
