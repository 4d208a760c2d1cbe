"""Checks that the host has the memory and disk space that builds need."""

from __future__ import annotations

import json
import os
import re
from collections.abc import Iterable
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.lib.sizes import GB, format_size
from gpuhost.runner.state.release import Release

MEMINFO = Path("/proc/meminfo")
# Here are the images if Docker uses containerd's image store, the default of Docker 29.
CONTAINERD = Path("/var/lib/containerd")
CONTAINERD_STORE = "io.containerd.snapshotter"
SWAPS = Path("/proc/swaps")
DEFAULT_ROOT = "/var/lib/docker"
# The first text in JSON.
FIRST = re.compile(r'"(?:[^"\\]|\\.)+"')
FEW_INODES = 1000
LITTLE_DISK = 64 << 20


@dataclass(frozen=True)
class Memory:
    """Bytes."""

    available: int
    swap_free: int

    @property
    def left(self) -> int:
        return self.available + self.swap_free

    def __str__(self) -> str:
        ram, swap = format_size(self.available), format_size(self.swap_free)
        return f"{format_size(self.left)} ({ram} and {swap} of swap)"


def read_memory() -> Memory:
    lines = (line.split() for line in MEMINFO.read_text(encoding="ascii").splitlines())
    kib = {words[0].rstrip(":"): int(words[1]) for words in lines if len(words) > 1}
    # zram is RAM, which MemAvailable counts already.
    table = SWAPS.read_text(encoding="utf-8", errors="replace") if SWAPS.exists() else ""
    swap = (line.split() for line in table.splitlines())
    in_ram = sum(
        int(words[2]) - int(words[3])
        for words in swap
        if len(words) > 3 and re.fullmatch(r"/dev/z?ram\d+", words[0])
    )
    return Memory(kib["MemAvailable"] * 1024, max(0, kib["SwapFree"] - in_ram) * 1024)


def check(release: Release) -> None:
    """Raises Failure if the plan needs more than the host has free."""
    needs, memory = release.plan.build, read_memory()
    release.log.write(f"memory free: {memory}")
    if memory.left < needs.memory_gb * GB:
        raise Failure(
            f"the builds need {needs.memory_gb:g} GB of memory (build.memory_gb), {memory} free",
            fix="enlarge the swap file (swap_size_gb), or stop other programs during the build",
        )
    for directory in image_directories():
        free = _free(directory)
        release.log.write(f"disk space free in {directory}: {format_size(free)}")
        if free < needs.disk_gb * GB:
            raise Failure(
                f"the builds need {needs.disk_gb:g} GB of disk space (build.disk_gb), "
                f"{directory} has {format_size(free)} free",
                fix="run `docker builder prune`: it deletes build caches and no images; "
                "`docker system df` shows what else uses space",
            )


def image_directories() -> tuple[Path, ...]:
    """The directories that contain images and build caches."""
    words = ("docker", "info", "--format", "{{json .DockerRootDir}} {{json .DriverStatus}}")
    outcome = try_run(NOWHERE, *words, seconds=30, quiet=True)
    # One value in JSON after the other: the first may have blanks.
    match = FIRST.match(outcome.out) if outcome.ok else None
    docker = Path(json.loads(match[0]) if match else DEFAULT_ROOT)
    if CONTAINERD_STORE in outcome.out and CONTAINERD.is_dir():
        return (docker, CONTAINERD)
    return (docker,)


def full_directory() -> str:
    """Which of them is out of disk space or inodes, in words; "" if none is."""
    for directory in image_directories():
        state = os.statvfs(directory)
        if state.f_files and state.f_favail < FEW_INODES:
            return f"{directory} has {state.f_favail} of {state.f_files} inodes free"
        if state.f_bavail * state.f_frsize < LITTLE_DISK:
            return f"{directory} has {format_size(state.f_bavail * state.f_frsize)} free"
    return ""


def free(directories: Iterable[Path]) -> int:
    """Free bytes on the disks of these directories; each disk counts once."""
    return sum({path.stat().st_dev: _free(path) for path in directories}.values())


def _free(directory: Path) -> int:
    state = os.statvfs(directory)
    return state.f_bavail * state.f_frsize
