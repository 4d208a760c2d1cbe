"""Other definitions of an archive that gpuhost defines itself, and how they are put aside.

Two definitions of one archive with different keys stop apt: "Conflicting values set for option
Signed-By". A file with nothing else in it is moved away; in a file with others the lines of the
definition become comments, so that nothing of it is lost. A definition that has more than the
archive is somebody's own: its archive would be lost too.
"""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, replace

from gpuhost.domain.apt.archive import LIST
from gpuhost.domain.apt.conflicts import Definition, conflicts, definitions, releases
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import ALL_HOSTS
from gpuhost.domain.apt.originals import OURS
from gpuhost.domain.apt.plan import HostSources
from gpuhost.domain.apt.record import Record, digest, saved_path
from gpuhost.domain.apt.release_files import list_file
from gpuhost.domain.apt.repository import Repository, sources_path
from gpuhost.domain.apt.vendors import archive_of

Lines = tuple[int, int]
# Vendors' own servers, and public mirrors of them.
PUBLIC = (
    *("download.docker.com", "nvidia.github.io", "developer.download.nvidia.com"),
    *("developer.download.nvidia.cn", *ALL_HOSTS),
)
SERVER = re.compile(r"https?://+(?:[^/@]*@)?([^/:]+)", re.IGNORECASE)


@dataclass(frozen=True)
class Aside:
    """What is done with clashing definitions.

    + moved: files that are moved away whole
    + edited: files with the first and last lines that become comments; the mirror's kept originals
      are among them
    + record: of the mirror, where it has to know the new contents; None: it stays
    """

    moved: tuple[str, ...]
    edited: Mapping[str, tuple[Lines, ...]]
    record: Record | None


def clashes(
    files: Iterable[SourceFile], repository: Repository, *, anywhere: bool = False
) -> list[Definition]:
    """Every other definition of the repository's archive: the same to apt, or the vendor's same
    archive on a public server. A company's mirror stays: apt accepts it beside ours.

    + anywhere: also on any other server, as an older gpuhost put them aside
    """
    return [
        definition
        for definition in definitions(file for file in files if not _is_ours(file, repository.name))
        if any(
            _is_same(repository, *release, anywhere=anywhere)
            for release in releases(definition.entry, repository.architecture)
        )
    ]


def rest(definition: Definition, repository: Repository) -> list[str]:
    """What a definition has beside the repository's archive: archives, and components of it."""
    found = releases(definition.entry, repository.architecture)
    others = [f"{uri} {suite}" for uri, suite in found if not _is_same(repository, uri, suite)]
    more = set(definition.entry.components) - {repository.component}
    return [*others, *(f"component {name}" for name in sorted(more) if repository.component)]


def written(files: Iterable[SourceFile], name: str, architecture: str) -> Repository | None:
    """The repository as the sources file has it that gpuhost wrote."""
    found = definitions(file for file in files if _is_ours(file, name))
    if not found:
        return None
    uri, suite = next(releases(found[0].entry, architecture))
    component = "".join(found[0].entry.components[:1])
    archive = archive_of(uri, suite)
    return Repository(name, uri, suite, component, architecture, "", "", archive)


def _is_same(repository: Repository, uri: str, suite: str, *, anywhere: bool = False) -> bool:
    if list_file(uri, suite) == list_file(repository.uri, repository.suite):
        return True
    server = SERVER.match(uri)
    is_public = bool(server and server[1].lower().rstrip(".").endswith(PUBLIC))
    theirs = archive_of(uri, suite) if anywhere or is_public else None
    return theirs is not None and theirs == repository.archive


def conflicting(
    files: Iterable[SourceFile], name: str, architecture: str, apt_version: str
) -> list[Definition]:
    """Definitions because of which apt refuses the sources file that gpuhost wrote.

    + name: of the repository
    """
    files = list(files)
    refused = {conflict.release_file for conflict in conflicts(files, architecture, apt_version)}
    ours = {
        list_file(*release)
        for definition in definitions(file for file in files if _is_ours(file, name))
        for release in releases(definition.entry, architecture)
    }
    return [
        definition
        for definition in definitions(file for file in files if not _is_ours(file, name))
        if any(
            list_file(*release) in refused & ours
            for release in releases(definition.entry, architecture)
        )
    ]


def aside(sources: HostSources, name: str, theirs: Iterable[Definition]) -> Aside:
    """How to put definitions aside for the repository of this name."""
    theirs = list(theirs)
    moved: list[str] = []
    edited: dict[str, tuple[Lines, ...]] = {}
    record = sources.record
    saved = {file.path: file for file in sources.saved}
    for file in sources.files:
        here = [d for d in theirs if d.path == file.path]
        if not here:
            continue
        is_whole = len(here) == len(definitions([file])) and file.path not in (LIST, *saved)
        # A file of the name that gpuhost's has is replaced by it.
        if is_whole or file.path == sources_path(name):
            moved.append(file.path)
            continue
        edited[file.path] = _lines(here)
        if record and record.written.get(file.path) == digest(file.content):
            after = digest(_marked(file.content, edited[file.path], name))
            record = replace(record, written={**record.written, file.path: after})
        if file.path in saved:
            entries = [d.entry for d in here]
            kept = [d for d in definitions([saved[file.path]]) if d.entry in entries]
            edited |= {saved_path(file.path): _lines(kept)} if kept else {}
    return Aside(tuple(moved), edited, record if record != sources.record else None)


def mark(name: str) -> str:
    """What a line begins with that is put aside for the repository of this name."""
    return f"# put aside by gpuhost, {name}.sources has it: "


def _is_ours(file: SourceFile, name: str) -> bool:
    return file.path == sources_path(name) and file.content.startswith(OURS)


def _lines(those: Iterable[Definition]) -> tuple[Lines, ...]:
    return tuple((definition.first, definition.last) for definition in those)


def _marked(content: str, lines: Iterable[Lines], name: str) -> str:
    numbers = {number for first, last in lines for number in range(first, last + 1)}
    return "\n".join(
        mark(name) + line if number in numbers else line
        for number, line in enumerate(content.split("\n"), 1)
    )
