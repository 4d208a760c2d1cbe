"""What has to change on a host: files to write, originals to keep, the record of it."""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property

from gpuhost.domain.apt.archive import Distribution
from gpuhost.domain.apt.documents import entries, own_archives
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.apt.mirrors import ARCHIVES, Archive
from gpuhost.domain.apt.originals import originals
from gpuhost.domain.apt.record import Record, digest
from gpuhost.domain.apt.sources import mirrored


@dataclass(frozen=True)
class HostSources:
    """Where a host's packages come from, and what gpuhost saved of their previous state.

    + files: every file that apt reads for its sources, and those behind `mirror+file:`.
    + saved: the originals kept on the host, under the paths that they came from.
    """

    files: tuple[SourceFile, ...]
    saved: tuple[SourceFile, ...]
    record: Record | None
    distribution: Distribution

    @cached_property
    def undone(self) -> Plan:
        """`to_original`, made once: several checks need it."""
        return to_original(self)

    def own_suites(self) -> tuple[tuple[Archive, str], ...]:
        """The suites of the distribution's own archives that are in use."""
        mirror = self.record.chosen() if self.record else None
        known = [mirror.uri(archive) for archive in ARCHIVES] if mirror else []
        own = own_archives(self.files, self.distribution, known)
        suites = (
            (archive, suite)
            for _, entry in entries(self.files)
            if own.has(entry)
            for uri in entry.uris
            if (archive := own.archive(uri, entry))
            for suite in entry.suites
        )
        return tuple(dict.fromkeys(suites))


@dataclass(frozen=True)
class Plan:
    """A change of the sources.

    + files: the new contents, by the paths that apt reads.
    + originals: copies to keep first, by the same paths; `stale`: copies no longer needed.
    + record: None: gpuhost has nothing to record.
    + before: the record as it is on the host.
    """

    files: tuple[SourceFile, ...]
    originals: tuple[SourceFile, ...]
    stale: tuple[str, ...]
    record: Record | None
    before: Record | None

    @property
    def is_empty(self) -> bool:
        return not (self.files or self.originals or self.stale) and self.record == self.before


def to_mirror(sources: HostSources, choice: Record, *, with_security: bool) -> Plan:
    """The plan that takes packages from the mirror of a choice, or from the original sources only.

    + choice: whose `written` is filled in; without a mirror the originals are restored.
    + with_security: `apt_mirror_security`.
    """
    mirror = choice.chosen()
    before = originals(sources.files, sources.saved, sources.record, sources.distribution)
    if mirror is None:
        return _plan(sources, before, before, choice)
    after = mirrored(before, sources.distribution, mirror, with_security=with_security)
    return _plan(sources, before, after, replace(choice, security=with_security))


def to_original(sources: HostSources) -> Plan:
    """The plan that undoes what gpuhost did; edits made since are kept."""
    before = originals(sources.files, sources.saved, sources.record, sources.distribution)
    return _plan(sources, before, before, None)


def _plan(
    sources: HostSources,
    before: list[SourceFile],
    after: list[SourceFile],
    record: Record | None,
) -> Plan:
    original = {file.path: file for file in before}
    ours = [file for file in after if file != original[file.path]]
    written = {file.path: digest(file.content) for file in ours}
    return Plan(
        files=tuple(file for file in after if file not in sources.files),
        originals=tuple(original[path] for path in written if original[path] not in sources.saved),
        stale=tuple(file.path for file in sources.saved if file.path not in written),
        record=replace(record, written=written) if record else None,
        before=sources.record,
    )
