"""What the sources were before gpuhost, and how to restore them."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import replace

from gpuhost.domain.apt.archive import Distribution, archive_key, is_security
from gpuhost.domain.apt.documents import (
    blocks,
    entries,
    is_mirror_list,
    listed_mirrors,
    own_archives,
)
from gpuhost.domain.apt.entry import Block, Entry, SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES, Mirror
from gpuhost.domain.apt.one_line import OFF
from gpuhost.domain.apt.record import Record, digest

# A file that gpuhost created with the mirror has no original; it changes like the others.
OURS = "# Written by gpuhost"


def originals(
    current: Iterable[SourceFile],
    saved: Iterable[SourceFile],
    record: Record | None,
    distribution: Distribution,
) -> list[SourceFile]:
    """The files as they are without a mirror.

    A file that is still as gpuhost wrote it is replaced by its saved copy. A file that was edited
    since (a line added, a release upgraded) keeps the edits: only URIs of the mirror are restored
    from the saved copy.

    + current: what apt reads now; `saved`: the copies kept, under the paths of the originals.
    + record: None: it is lost: edits cannot be distinguished from our own changes, and the saved
      copies are used.
    """
    current = list(current)
    copies = {file.path: file for file in saved}
    if record is None:
        return [copies.get(file.path, file) for file in current]
    restore = _Restore(current, list(copies.values()), record.chosen(), distribution)
    return [
        copies[file.path]
        if file.path in copies and record.written.get(file.path) == digest(file.content)
        else restore.of(file, copies.get(file.path))
        for file in current
    ]


class _Restore:
    def __init__(
        self,
        current: list[SourceFile],
        saved: list[SourceFile],
        mirror: Mirror | None,
        distribution: Distribution,
    ) -> None:
        uris = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
        self._at_mirror = {archive_key(uri) for uri in uris}
        self._own = own_archives(current, distribution, uris)
        self._before = _first_uris(saved, distribution)

    def of(self, file: SourceFile, saved: SourceFile | None) -> SourceFile:
        follows = saved is not None or file.content.startswith(OURS)
        if not follows or not self._at_mirror:
            return file
        if is_mirror_list(file):
            listed = map(archive_key, listed_mirrors(file.content))
            return saved if saved and self._at_mirror.intersection(listed) else file
        return SourceFile(file.path, "\n".join(map(self._restored, blocks(file))))

    def _restored(self, block: Block) -> str:
        entry = block.entry
        if entry is None:
            return block.text.removeprefix(OFF)
        if not self._own.has(entry):
            return block.text
        uris = tuple(uri for uri in entry.uris for uri in (self._uris_before(uri, entry) or (uri,)))
        return block.text if uris == entry.uris else block.with_uris(uris).text

    def _uris_before(self, uri: str, entry: Entry) -> tuple[str, ...]:
        if archive_key(uri) not in self._at_mirror:
            return ()
        archive, security = self._own.archive(uri, entry), _security(entry)
        return self._before.get((archive, security)) or self._before.get(
            (archive, not security), ()
        )


def _first_uris(
    saved: list[SourceFile], distribution: Distribution
) -> Mapping[tuple[str | None, bool], tuple[str, ...]]:
    """Where each archive came from: the first definition of it in the saved copies."""
    before: dict[tuple[str | None, bool], tuple[str, ...]] = {}
    for codename in _releases(saved):
        # The copies may be of the release before an upgrade.
        own = own_archives(saved, replace(distribution, codename=codename))
        for _, entry in entries(saved):
            if own.has(entry):
                archive = own.archive(entry.uris[0], entry)
                before.setdefault((archive, _security(entry)), entry.uris)
    return before


def _releases(files: list[SourceFile]) -> list[str]:
    suites = (suite for _, entry in entries(files) for suite in entry.suites)
    return list(dict.fromkeys(suite.partition("-")[0] for suite in suites))


def _security(entry: Entry) -> bool:
    return all(map(is_security, entry.suites))
