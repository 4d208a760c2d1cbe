"""Memory and disk that builds need, as the host has them at this moment."""

from __future__ import annotations

import json
import os
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.state.release import Release

MEMINFO = Path("/proc/meminfo")
# Images are here, and not in Docker's own directory, where containerd keeps them (Docker 29).
CONTAINERD = Path("/var/lib/containerd")
CONTAINERD_STORE = "io.containerd.snapshotter"
DEFAULT_ROOT = "/var/lib/docker"
GB = 1 << 30
FEW_INODES = 1000
LITTLE_DISK = 64 << 20


@dataclass(frozen=True)
class Memory:
    """Bytes: what programs may still take, and what of the swap is free."""

    available: int
    swap_free: int

    @property
    def left(self) -> int:
        return self.available + self.swap_free

    def __str__(self) -> str:
        return f"{_gb(self.left)} ({_gb(self.available)} and {_gb(self.swap_free)} of swap)"


def memory() -> Memory:
    lines = (line.split() for line in MEMINFO.read_text(encoding="ascii").splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}
    return Memory(kib["MemAvailable"] * 1024, kib["SwapFree"] * 1024)


def check(release: Release) -> None:
    """Raises Failure, with numbers, where the plan asks for more than there is."""
    needs, free_memory = release.plan.build, memory()
    release.log.write(f"memory left: {free_memory}")
    if free_memory.left < needs.memory_gb * GB:
        raise Failure(
            f"the builds need {needs.memory_gb:g} GB of memory, and {free_memory} are left",
            fix="a larger swap (swap_size_gb), or fewer programs while it builds; "
            "build.memory_gb in the app file says what is needed",
        )
    for place in image_places():
        free = _free(place)
        release.log.write(f"disk left under {place}: {_gb(free)}")
        if free < needs.disk_gb * GB:
            raise Failure(
                f"the builds need {needs.disk_gb:g} GB of disk, and {place} has {_gb(free)} left",
                fix="`docker system df` says what is there; `docker builder prune` frees build "
                "caches and no image that a rollback needs; build.disk_gb says what is needed",
            )


def image_places() -> tuple[Path, ...]:
    """The directories that images and builds fill."""
    words = ("docker", "info", "--format", "{{json .DockerRootDir}} {{json .DriverStatus}}")
    outcome = try_run(NOWHERE, *words, seconds=30, quiet=True)
    root, _, status = outcome.out.strip().partition(" ")
    docker = Path(json.loads(root) if outcome.ok and root else DEFAULT_ROOT)
    if CONTAINERD_STORE in status and CONTAINERD.is_dir():
        return (docker, CONTAINERD)
    return (docker,)


def what_is_full() -> str:
    """Which of them has no room, of blocks or of inodes; "" if none seems full."""
    for place in image_places():
        state = os.statvfs(place)
        if state.f_files and state.f_favail < FEW_INODES:
            return f"{place} has {state.f_favail} inodes left of {state.f_files}"
        if state.f_bavail * state.f_frsize < LITTLE_DISK:
            return f"{place} has {_gb(state.f_bavail * state.f_frsize)} left"
    return ""


def free(places: Iterable[Path]) -> int:
    """Free bytes on the disks of these."""
    return sum({place.stat().st_dev: _free(place) for place in places}.values())


def _free(place: Path) -> int:
    state = os.statvfs(place)
    return state.f_bavail * state.f_frsize


def _gb(size: float) -> str:
    return f"{size / GB:.1f} GB"
