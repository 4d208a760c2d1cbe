"""Disks that will fill up soon, by their free space in earlier runs."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import combinations, pairwise
from shlex import quote
from statistics import median

from gpuhost.checks.finding import Finding, Verdict, warn
from gpuhost.domain.sizes import format_size

ID = "disk.trend"
DAY = 86400
SOON_DAYS = 14
# Days of runs to use: the last week; if it has too few runs, the last month.
WINDOWS = (7, 30)
MIN_RUNS = 3
MIN_SPAN = DAY
# A trend needs less free space in the later reading in this share of all pairs of readings.
FALLING = 0.75
# Space was freed if it grew by more than this many times the usual change.
STEP = 3

# Epoch seconds, and free bytes by mount point.
Reading = tuple[int, Mapping[str, int]]
Point = tuple[int, int]


@dataclass(frozen=True)
class Filling:
    """A file system that fills up. per_day: bytes; days: until it is full."""

    mount: str
    free: int
    per_day: float
    points: tuple[Point, ...]

    @property
    def days(self) -> float:
        return self.free / self.per_day


def disk_trend(earlier: Sequence[Reading], current: Reading) -> Finding | None:
    """Warn of disks that will be full within two weeks; None: no such disk, or too few readings.

    + earlier: readings of the same host, in any order
    """
    at, free = current
    series = {
        mount: [*sorted((then, disks[mount]) for then, disks in earlier if mount in disks), (at, f)]
        for mount, f in free.items()
    }
    fillings = (estimate(mount, points) for mount, points in series.items())
    soon = sorted(
        (one for one in fillings if one and one.days <= SOON_DAYS), key=lambda one: one.days
    )
    return Finding(**vars(_verdict(soon)), id=ID) if soon else None


def _verdict(soon: list[Filling]) -> Verdict:
    return warn(
        f"no disk is full within {SOON_DAYS} days",
        "; ".join(
            f"{one.mount} is full in about {_days(one.days)}: {format_size(one.free)} free"
            for one in soon
        ),
        evidence="; ".join(_evidence(one) for one in soon),
        fix=f"du -x -h -d 2 {quote(soon[0].mount)} | sort -h | tail; docker system df",
    )


def _evidence(one: Filling) -> str:
    (began, first), (ended, _) = one.points[0], one.points[-1]
    return (
        f"{one.mount}: {format_size(one.per_day)} less per day, in {len(one.points)} runs over "
        f"{_days((ended - began) / DAY)}; {format_size(first)} free at first"
    )


def _days(days: float) -> str:
    return f"{days:.0f} days" if days >= 2 else f"{days * 24:.0f} hours"


def estimate(mount: str, points: Sequence[Point]) -> Filling | None:
    """How fast a file system fills up; None: it does not, or too few readings.

    The median of the slopes between all pairs (Theil-Sen estimator): one wrong reading does not
    change it.

    + points: ordered by time; the last one is the present
    """
    recent = _since_freed(_window(points))
    if not _enough(recent):
        return None
    slopes = [(b[1] - a[1]) / (b[0] - a[0]) for a, b in combinations(recent, 2) if b[0] > a[0]]
    falling = sum(slope < 0 for slope in slopes) / len(slopes)
    free, per_day = recent[-1][1], -median(slopes) * DAY
    if falling < FALLING or per_day <= 0 or free <= 0:
        return None
    return Filling(mount, free, per_day, tuple(recent))


def _window(points: Sequence[Point]) -> Sequence[Point]:
    latest = points[-1][0]
    windows = ([point for point in points if point[0] >= latest - days * DAY] for days in WINDOWS)
    return next((window for window in windows if _enough(window)), ())


def _enough(points: Sequence[Point]) -> bool:
    return len(points) >= MIN_RUNS and points[-1][0] - points[0][0] >= MIN_SPAN


def _since_freed(points: Sequence[Point]) -> Sequence[Point]:
    """The readings since space was last freed.

    Space was freed where, between two readings, more than half of the lost space became free again,
    and clearly more than usual.
    """
    if len(points) < MIN_RUNS:
        return points
    free = [free for _, free in points]
    usual = median(abs(b - a) for a, b in pairwise(free))
    start = 0
    for place, (before, after) in enumerate(pairwise(free), 1):
        lost = max(free[start:place]) - before
        if after - before > max(lost / 2, STEP * usual):
            start = place
    return points[start:]
