"""One host: its findings with their causes, and what the next run needs of it."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuhost.drift.apps import AppFiles, all_differences
from gpuhost.drift.causes import with_acceptance
from gpuhost.drift.difference import Cause, Difference, bounded
from gpuhost.drift.trend import Reading, disk_trend
from gpuhost.plans.disk import disks_by_directory
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.disks import Disk


@dataclass(frozen=True)
class Comparison:
    """disks: free bytes, by mount point."""

    differences: list[Difference]
    applied_at: int | None
    applied_by: str
    disks: Mapping[str, int]


def compare(
    at: int, earlier: Sequence[Reading], files: AppFiles, snapshot: Snapshot, settings: Settings
) -> Comparison:
    """Raises NotRead.

    + at: when the run started, epoch seconds
    + earlier: the free space in earlier runs
    """
    differences = all_differences(snapshot, settings, files, at=at)
    free = free_by_mount(snapshot, settings)
    if filling := disk_trend(earlier, (at, free)):
        # The host changes by itself.
        differences.append(with_acceptance(filling, Cause.DRIFT, settings, at=at))
    applied = snapshot.applied
    return Comparison(
        bounded(differences),
        applied.at if applied else None,
        applied.by if applied else "",
        free,
    )


def free_by_mount(snapshot: Snapshot, settings: Settings) -> dict[str, int]:
    """Free bytes by mount point; a disk that is mounted several times is listed once."""
    try:
        disks = [*disks_by_directory(snapshot, settings).values(), *snapshot.filesystems.local]
    except NotRead:
        return {}
    by_source: dict[str, Disk] = {}
    for disk in sorted(disks, key=lambda disk: (len(disk.mounted_on), disk.mounted_on)):
        # For other file systems (overlay, tmpfs) the source identifies nothing.
        source = disk.source if disk.source.startswith("/") else disk.mounted_on
        by_source.setdefault(source, disk)
    return {disk.mounted_on: disk.free for disk in by_source.values() if not disk.read_only}
