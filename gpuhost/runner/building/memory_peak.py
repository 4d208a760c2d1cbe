"""The most memory that is used while something runs."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from gpuhost.runner.building.capacity import GB, memory

EVERY_S = 0.5
CGROUPS = Path("/sys/fs/cgroup")
# Where the engine puts a build's steps: under its parent, or as a scope of systemd's.
OF_BUILDS = (
    "system.slice/docker-*.scope",
    "docker/*",
    "docker/buildkit/*",
    "memory/system.slice/docker-*.scope",
    "memory/docker/*",
    "memory/docker/buildkit/*",
)
HIGHEST = ("memory.peak", "memory.max_usage_in_bytes", "memory.current")


class MemoryPeak:
    """A context: samples until it ends.

    `host` is by how much the memory that is left, swap included, fell below that of the beginning:
    other programs of the host count as well. `group` is the highest of the cgroups that appeared
    meanwhile, file caches included; None where none was readable.
    """

    def __init__(self) -> None:
        self.host = 0
        self.group: int | None = None
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> MemoryPeak:
        self._left = memory().left
        self._before = _groups()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._over.set()
        self._thread.join()
        self._look()

    def __str__(self) -> str:
        own = (
            "" if self.group is None else f"; the largest step alone {_gb(self.group)}, with files"
        )
        return f"{_gb(self.host)} more than before (all of the host){own}"

    def _sample(self) -> None:
        while not self._over.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self.host = max(self.host, self._left - memory().left)
        for group in _groups() - self._before:
            highest = _highest(group)
            if highest is not None:
                self.group = max(self.group or 0, highest)


def _groups() -> frozenset[Path]:
    return frozenset(path for pattern in OF_BUILDS for path in CGROUPS.glob(pattern))


def _highest(group: Path) -> int | None:
    for name in HIGHEST:
        try:
            return int((group / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            # This kernel has another file for it, or the step is over.
            continue
    return None


def _gb(size: int) -> str:
    return f"{size / GB:.1f} GB"
