"""The files under /etc/apt, so that the distribution's packages come from a mirror."""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from gpuhost.domain.apt.archive import Distribution, archive_key, is_security, mirror_list_path
from gpuhost.domain.apt.documents import (
    blocks,
    entries,
    in_order,
    is_mirror_list,
    listed_mirrors,
    own_archives,
)
from gpuhost.domain.apt.duplicates import with_one_key, without_duplicates
from gpuhost.domain.apt.entry import Block, Entry, SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES, Mirror
from gpuhost.domain.apt.one_line import OFF


def mirrored(
    files: Iterable[SourceFile],
    distribution: Distribution,
    mirror: Mirror,
    *,
    with_security: bool,
) -> list[SourceFile]:
    """All the files, with the distribution's own archive at the mirror.

    Third parties' definitions, comments, options and order stay as they are. Without
    `with_security` the security suites keep their present source: a mirror lags behind.

    + files: every file that apt reads, and those that their `mirror+file:` URIs name.
    + with_security: move the security suites too (`apt_mirror_security`).

    **Example:**

    .. code:: python

        mirrored(files, Distribution("debian", "bookworm", "amd64"), mirror, with_security=False)
    """
    known = [mirror.uri(archive) for archive in ARCHIVES]
    moved = _Move(list(files), distribution, mirror, with_security).done()
    return with_one_key(without_duplicates(moved, distribution, known), distribution, known)


class _Move:
    def __init__(
        self,
        files: list[SourceFile],
        distribution: Distribution,
        mirror: Mirror,
        with_security: bool,
    ) -> None:
        self._files = files
        self._mirror = mirror
        self._with_security = with_security
        known = [mirror.uri(archive) for archive in ARCHIVES]
        self._own = own_archives(files, distribution, known)
        self._lists = self._movable_lists()

    def done(self) -> list[SourceFile]:
        return [self._moved_file(file) for file in in_order(self._files)]

    def _moved_file(self, file: SourceFile) -> SourceFile:
        if is_mirror_list(file):
            uri = self._lists.get(file.path)
            return SourceFile(file.path, _only(uri, file.content)) if uri else file
        return SourceFile(file.path, "\n".join(map(self._moved, blocks(file))))

    def _moved(self, block: Block) -> str:
        entry = block.entry
        if entry is None or not self._own.has(entry):
            return block.text
        moving, staying = self._divided(entry)
        uris = tuple(dict.fromkeys(self._target(uri, entry) for uri in entry.uris))
        if not moving or uris == entry.uris:
            return block.text
        at_mirror = block.with_uris(uris)
        if not staying:
            return at_mirror.text
        return (
            at_mirror.with_suites(moving).text + block.separator + block.with_suites(staying).text
        )

    def _divided(self, entry: Entry) -> tuple[tuple[str, ...], tuple[str, ...]]:
        """The suites that go to the mirror, and those that stay."""
        staying = tuple(s for s in entry.suites if is_security(s) and not self._with_security)
        return tuple(s for s in entry.suites if s not in staying), staying

    def _target(self, uri: str, entry: Entry) -> str:
        archive = self._own.archive(uri, entry)
        if archive is None or mirror_list_path(uri) in self._lists:
            return uri
        target = self._mirror.uri(archive)
        return uri if archive_key(uri) == archive_key(target) else target

    def _movable_lists(self) -> Mapping[str, str]:
        """The `mirror+file:` lists that only moving definitions use, and the URI each gets."""
        targets: dict[str, str] = {}
        shared: set[str] = set()
        present = {f.path for f in self._files if is_mirror_list(f) and listed_mirrors(f.content)}
        for _, entry in entries(self._files):
            for uri in entry.uris:
                path = mirror_list_path(uri)
                if path not in present:
                    continue
                archive = self._own.archive(uri, entry) if self._own.has(entry) else None
                _, staying = self._divided(entry)
                if archive is None or staying:
                    shared.add(path)
                else:
                    targets[path] = self._mirror.uri(archive)
        return {path: uri for path, uri in targets.items() if path not in shared}


def _only(uri: str, content: str) -> str:
    """A mirror list with one mirror: the URI in place of the first, the others disabled."""
    lines = content.split("\n")
    used = [n for n, line in enumerate(lines) if listed_mirrors(line)]
    listed = [n for n in used if archive_key(listed_mirrors(lines[n])[0]) == archive_key(uri)]
    keep = listed[0] if listed else used[0]
    for number in used:
        if number != keep:
            lines[number] = OFF + lines[number]
    if not listed:
        lines[keep] = uri + ("\r" if lines[keep].endswith("\r") else "")
    return "\n".join(lines)
