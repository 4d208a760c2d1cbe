"""A reading that was made for today's settings, to be judged by those of then."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.plans.reading import request_for
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.paths import Paths, PathState


@dataclass(frozen=True)
class _PathsAskedFor(Paths):
    """unasked: nobody looked there, so that nothing is known to be missing."""

    unasked: frozenset[str] = frozenset()

    def get(self, path: str) -> PathState | None:
        """Raises NotRead for what nobody looked at."""
        if path in self.unasked and path not in self.known:
            raise NotRead(f"{path}: today's settings do not ask for it")
        return super().get(path)


def for_settings_of(then: Settings, snapshot: Snapshot, settings: Settings) -> Snapshot:
    """The same reading, by which a check is `unknown` where today's settings did not look.

    Directories are not among it: of each local file system it is known where it is mounted.
    """
    unasked = _paths(then) - _paths(settings)
    if not unasked:
        return snapshot
    same = Snapshot(snapshot.probes)
    try:
        same.paths = _PathsAskedFor(snapshot.paths.known, unasked)
    except NotRead:
        return snapshot
    return same


def _paths(settings: Settings) -> frozenset[str]:
    request = request_for(settings)
    return frozenset((*request.managed, *request.plain))
