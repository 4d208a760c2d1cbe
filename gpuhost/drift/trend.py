"""Disks that will fill, from what was free on them in earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from shlex import quote
from statistics import median

from gpuhost.checks.finding import Finding, Verdict, warn
from gpuhost.domain.sizes import gb
from gpuhost.plans.disk import disks_by_directory
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.paths import Disk

ID = "disk.trend"
DAY = 86400
SOON = 14
# What happens now, and where it is asked less often than daily, what happened lately.
WINDOWS = (7, 30)
LEAST_RUNS = 3
LEAST_SPAN = DAY
# Of two readings the later one has less free, in so many of all pairs: else it is noise.
FALLING = 0.75
# That much more than between two other readings is no noise.
STEP = 3

# When, in epoch seconds, and the bytes free by where the file system is mounted.
Reading = tuple[int, Mapping[str, int]]
Point = tuple[int, int]


@dataclass(frozen=True)
class Filling:
    """A file system that fills. a_day: bytes; days: until it is full."""

    mount: str
    free: int
    a_day: float
    points: tuple[Point, ...]

    @property
    def days(self) -> float:
        return self.free / self.a_day


def free_by_mount(snapshot: Snapshot, settings: Settings) -> dict[str, int]:
    """What is free on the host's disks; one that is mounted in several places is told once."""
    try:
        disks = [*disks_by_directory(snapshot, settings).values(), *snapshot.filesystems.local]
    except NotRead:
        return {}
    by_source: dict[str, Disk] = {}
    for disk in sorted(disks, key=lambda disk: (len(disk.mounted_on), disk.mounted_on)):
        # Of other kinds (overlay, tmpfs) the source is only a word.
        source = disk.source if disk.source.startswith("/") else disk.mounted_on
        by_source.setdefault(source, disk)
    return {disk.mounted_on: disk.free for disk in by_source.values() if not disk.read_only}


def disk_trend(before: Sequence[Reading], now: Reading) -> Finding | None:
    """A warning about what will be full within two weeks; None: nothing, or too little is known.

    + before: earlier readings of the same host, in any order
    """
    at, free = now
    series = {
        mount: [*sorted((then, disks[mount]) for then, disks in before if mount in disks), (at, f)]
        for mount, f in free.items()
    }
    found = (filling(mount, points) for mount, points in series.items())
    soon = sorted((one for one in found if one and one.days <= SOON), key=lambda one: one.days)
    return Finding(**vars(_verdict(soon)), id=ID) if soon else None


def _verdict(soon: list[Filling]) -> Verdict:
    return warn(
        f"no disk is full within {SOON} days",
        "; ".join(
            f"{one.mount} is full in about {_days(one.days)}: {gb(one.free)} free" for one in soon
        ),
        evidence="; ".join(_evidence(one) for one in soon),
        fix=f"du -x -h -d 2 {quote(soon[0].mount)} | sort -h | tail; docker system df",
    )


def _evidence(one: Filling) -> str:
    (began, first), (ended, _) = one.points[0], one.points[-1]
    return (
        f"{one.mount}: {gb(one.a_day)} less each day, by {len(one.points)} runs in "
        f"{_days((ended - began) / DAY)}, at first {gb(first)} free"
    )


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def filling(mount: str, points: Sequence[Point]) -> Filling | None:
    """How fast a file system fills; None: it does not, or it cannot be told.

    The median of the slopes between all pairs (Theil and Sen): a reading that is off, or a day
    that was unlike the others, does not move it.

    + points: by time, the last one is now
    """
    told = _since_cleaned(_window(points))
    if not _enough(told):
        return None
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(told, 2) if b[0] > a[0]]
    falling = sum(slope < 0 for slope in slopes) / len(slopes)
    free, a_day = told[-1][1], -median(slopes) * DAY
    if falling < FALLING or a_day <= 0 or free <= 0:
        return None
    return Filling(mount, free, a_day, tuple(told))


def _window(points: Sequence[Point]) -> Sequence[Point]:
    now = points[-1][0]
    windows = ([one for one in points if one[0] >= now - days * DAY] for days in WINDOWS)
    return next((window for window in windows if _enough(window)), ())


def _enough(points: Sequence[Point]) -> bool:
    return len(points) >= LEAST_RUNS and points[-1][0] - points[0][0] >= LEAST_SPAN


def _since_cleaned(points: Sequence[Point]) -> Sequence[Point]:
    """What came after somebody made room: what was before says nothing about now.

    Room was made where more than half of what had been lost came back at once, and more than is
    usual between two readings.
    """
    if len(points) < LEAST_RUNS:
        return points
    free = [free for _, free in points]
    usual = median(abs(b - a) for a, b in pairwise(free))
    start = 0
    for place, (before, after) in enumerate(pairwise(free), 1):
        lost = max(free[start:place]) - before
        if after - before > max(lost / 2, STEP * usual):
            start = place
    return points[start:]
