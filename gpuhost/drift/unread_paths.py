"""A snapshot that was read for today's settings, compared with earlier settings."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.plans.request import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.paths import Paths, PathState


@dataclass(frozen=True)
class _RequestedPaths(Paths):
    """unread: paths that the snapshot did not read; it is unknown whether they exist."""

    unread: frozenset[str] = frozenset()

    def get(self, path: str) -> PathState | None:
        """Raises NotRead for a path that was not read."""
        if path in self.unread and path not in self.known:
            raise NotRead(f"{path}: not read, because today's settings do not name it")
        return super().get(path)


def for_settings_of(then: Settings, snapshot: Snapshot, settings: Settings) -> Snapshot:
    """The same snapshot, in which a check is `unknown` if it needs a path that was not read.

    Not for directories: every local file system is read.
    """
    unread = _paths(then) - _paths(settings)
    if not unread:
        return snapshot
    same = Snapshot(snapshot.probes)
    try:
        same.paths = _RequestedPaths(snapshot.paths.known, unread)
    except NotRead:
        return snapshot
    return same


def _paths(settings: Settings) -> frozenset[str]:
    request = request_for(settings)
    return frozenset((*request.managed, *request.plain))
