"""Measures the peak memory use of a build."""

from __future__ import annotations

import threading
from pathlib import Path
from types import TracebackType

from gpuhost.runner.building.capacity import read_memory
from gpuhost.runner.lib.sizes import format_size

EVERY_S = 0.5
CGROUPS = Path("/sys/fs/cgroup")
# Cgroups of build steps: in the engine's own group, or in a systemd scope.
BUILD_GROUPS = (
    "system.slice/docker-*.scope",
    "docker/*",
    "docker/buildkit/*",
    "memory/system.slice/docker-*.scope",
    "memory/docker/*",
    "memory/docker/buildkit/*",
)
PEAK_FILES = ("memory.peak", "memory.max_usage_in_bytes", "memory.current")


class MemoryPeak:
    """A context manager that samples until its block ends.

    + host: by how many bytes the free memory of the host fell, swap included; this includes the use
      of other programs
    + group: the highest peak of the new cgroups, file caches included; None: none was readable
    """

    def __init__(self) -> None:
        self.host = 0
        self.group: int | None = None
        self._stop = threading.Event()
        self._thread = threading.Thread(target=self._sample, daemon=True)

    def __enter__(self) -> MemoryPeak:
        self._left = read_memory().left
        self._before = _groups()
        self._thread.start()
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self._stop.set()
        self._thread.join()
        self._look()

    def __str__(self) -> str:
        step = "" if self.group is None else f"; largest step {format_size(self.group)} with caches"
        return f"{format_size(self.host)} on the whole host{step}"

    def _sample(self) -> None:
        while not self._stop.wait(EVERY_S):
            self._look()

    def _look(self) -> None:
        self.host = max(self.host, self._left - read_memory().left)
        for group in _groups() - self._before:
            peak = _peak(group)
            if peak is not None:
                self.group = max(self.group or 0, peak)


def _groups() -> frozenset[Path]:
    return frozenset(path for pattern in BUILD_GROUPS for path in CGROUPS.glob(pattern))


def _peak(group: Path) -> int | None:
    for name in PEAK_FILES:
        try:
            return int((group / name).read_text(encoding="ascii"))
        except (OSError, ValueError):
            # Another kernel has another file, or the step has ended.
            continue
    return None
