"""Where the distribution's packages come from."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from datetime import datetime

from gpuhost.domain.apt.archive import LIST, Distribution, archive_key
from gpuhost.domain.apt.choice import release_date
from gpuhost.domain.apt.conflicts import releases as each_release
from gpuhost.domain.apt.documents import entries
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.plan import HostSources
from gpuhost.domain.apt.record import DIRECTORY, ORIGINALS, RECORD, Record
from gpuhost.domain.apt.release_files import list_file
from gpuhost.domain.apt.repository import ORIGINALS as CLASHING
from gpuhost.domain.sizes import MB
from gpuhost.snapshot.apt_keyrings import read_keyrings
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.paths import Paths
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.system import System

CLOUD_INIT = "/etc/cloud/cloud.cfg"
CLOUD_INIT_APT = "/etc/cloud/cloud.cfg.d/99-gpuhost-apt.cfg"
# apt writes here at every update, whatever it finds.
UPDATED = "/var/lib/apt/lists/partial"
# Exists while a change of the sources has begun and not finished.
INTERRUPTED = f"{DIRECTORY}/before/whole"
LISTS = "/var/lib/apt/lists/"
ARCHITECTURES = "/var/lib/dpkg/arch"
# What apt reads of its directory: run-parts' rule for names (apt.conf(5), Dir::Etc::sourceparts).
_READ_BY_APT = re.compile(rf"{LIST}|{LIST}\.d/[A-Za-z0-9_.-]+\.(?:list|sources)")
_MIRROR_LIST = re.compile(r"/etc/apt/mirrors/[^/]+")
# What the collector prints in place of a login, and the parser for bytes that are not UTF-8.
MASKED_LOGIN = "//***@"
NOT_UTF8 = "\ufffd"
# sed's messages about a pattern without a match and about a directory.
# Characters of all source files: keys in them have a few thousand each.
MOST_SOURCES = 1 * MB
_HARMLESS = ("No such file or directory", "Is a directory", "not a regular file")
REQUEST = Request(
    files=(RECORD, CLOUD_INIT_APT, ARCHITECTURES),
    packages=("apt", "ca-certificates"),
    plain=(CLOUD_INIT, INTERRUPTED, UPDATED),
    probes=(
        # Passwords in URLs stay on the host.
        ProbeCommand(
            "apt_sources",
            "sed -s -n -E -e 1F -e 's#://[^/[:space:]]*@#://***@#g; s/^/:/p'"
            f" {LIST} {LIST}.d/*.list {LIST}.d/*.sources /etc/apt/mirrors/*"
            f" {ORIGINALS}/etc/apt/sources.list {ORIGINALS}/etc/apt/*/* {CLASHING}/*",
            at_once=True,
        ),
        ProbeCommand(
            "apt_releases",
            # An archive without InRelease has Release and Release.gpg.
            "grep -asH -m 4 -E '^(Origin|Label|Codename|Date):'"
            f" {LISTS}*_InRelease {LISTS}*_Release",
            absent=Probe(1),
            at_once=True,
        ),
        # Somebody has decided which release a package comes from.
        ProbeCommand(
            "apt_pins",
            "grep -shE '^ *(Pin: *release|APT::Default-Release|Default-Release) '"
            " /etc/apt/preferences /etc/apt/preferences.d/* /etc/apt/apt.conf"
            " /etc/apt/apt.conf.d/*",
            absent=Probe(1),
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class FetchedRelease:
    """The head of an InRelease file that apt has fetched; `file` is its name in apt's lists."""

    file: str
    origin: str
    date: datetime | None
    label: str = ""
    codename: str = ""


@dataclass(frozen=True)
class Apt:
    """The sources of packages.

    + sources: what apt reads, and the originals that gpuhost saved
    + aside: files that clashed with gpuhost's, under the paths that they came from
    + version: of apt; "" if dpkg does not know it
    + certificates: the host can verify https: ca-certificates is installed
    + releases: what apt fetched at its last update
    + updated: time of that update, epoch seconds; None: never
    + interrupted: a change of the sources began and did not finish
    + pinned: a preference or a setting chooses between releases
    + cloud_init: it is installed; `keeps_sources`: our file that makes it keep the sources
    """

    sources: HostSources
    aside: tuple[SourceFile, ...]
    version: str
    certificates: bool
    releases: tuple[FetchedRelease, ...]
    updated: int | None
    interrupted: bool
    pinned: bool
    cloud_init: bool
    keeps_sources: str | None

    @classmethod
    def read(cls, probes: Probes) -> Apt:
        paths = Paths.read(probes)
        updated = paths.get(UPDATED)
        files = tuple(_files(probes))
        releases = tuple(_releases(probes))
        saved = [
            replace(file, path=file.path.removeprefix(ORIGINALS))
            for file in files
            if file.path.startswith(f"{ORIGINALS}/")
        ]
        return cls(
            sources=HostSources(
                files=tuple(file for file in files if _is_read(file.path)),
                saved=tuple(file for file in saved if _is_read(file.path)),
                record=Record.from_json(probes.file(RECORD) or ""),
                distribution=_distribution(probes, files, releases),
            ),
            aside=tuple(
                replace(file, path=f"{LIST}.d/{file.path.removeprefix(f'{CLASHING}/')}")
                for file in files
                if file.path.startswith(f"{CLASHING}/")
            ),
            version=installed_packages(probes).get("apt", ""),
            certificates="ca-certificates" in installed_packages(probes),
            releases=releases,
            updated=updated.modified if updated else None,
            interrupted=paths.get(INTERRUPTED) is not None,
            pinned="apt_pins" in probes and bool(probes.get("apt_pins").out.strip()),
            cloud_init=paths.get(CLOUD_INIT) is not None,
            keeps_sources=probes.file(CLOUD_INIT_APT),
        )


def _files(probes: Probes) -> Iterable[SourceFile]:
    """The probe's output: a line with the file's name, then its lines, each after a colon."""
    probe = probes.get("apt_sources")
    # sed's 2: one of the files does not exist.
    if probe.rc not in (0, 2):
        raise NotRead(f"apt's sources: {probe.complaint}")
    if len(probe.out) > MOST_SOURCES:
        raise NotRead(f"apt's sources have more than {MOST_SOURCES // MB} MB")
    for complaint in probe.err.splitlines():
        if not complaint.endswith(_HARMLESS):
            raise NotRead(f"apt's sources: {complaint}")
    files: dict[str, list[str]] = {}
    lines: list[str] = []
    for line in probe.out.split("\n"):
        if line.startswith("/"):
            lines = files.setdefault(line, [])
        elif line.startswith(":"):
            lines.append(line[1:])
    return (SourceFile(path, "\n".join([*lines, ""])) for path, lines in files.items())


def _is_read(path: str) -> bool:
    return bool(_READ_BY_APT.fullmatch(path) or _MIRROR_LIST.fullmatch(path))


def _releases(probes: Probes) -> Iterable[FetchedRelease]:
    heads: dict[str, dict[str, str]] = {}
    for line in probes.output("apt_releases", allow=(0, 1, 2)).splitlines():
        path, _, head = line.partition(":")
        name, _, value = head.partition(":")
        file = path.removeprefix(LISTS).replace("_Release", "_InRelease")
        heads.setdefault(file, {}).setdefault(name, value.strip())
    return (
        FetchedRelease(
            file,
            head.get("Origin", ""),
            release_date(head.get("Date", "")),
            head.get("Label", ""),
            head.get("Codename", ""),
        )
        for file, head in heads.items()
    )


def _distribution(
    probes: Probes, files: tuple[SourceFile, ...], releases: tuple[FetchedRelease, ...]
) -> Distribution:
    system = System.read(probes)
    by_file = {release.file: release for release in releases}
    fetched = {
        archive_key(uri): by_file[name]
        for _, entry in entries(file for file in files if _is_read(file.path))
        for uri, suite in each_release(entry, system.architecture)
        if (name := list_file(uri, suite)) in by_file
    }
    architectures = (probes.file(ARCHITECTURES) or "").split()
    return Distribution(
        id=system.distribution,
        codename=system.codename,
        architecture=system.architecture,
        foreign_architectures=tuple(a for a in architectures if a != system.architecture),
        origins={key: one.origin for key, one in fetched.items() if one.origin},
        labels={key: one.label for key, one in fetched.items() if one.label},
        keyrings=read_keyrings(probes),
    )
