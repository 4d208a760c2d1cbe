"""Every host read once and judged by every check, and against what was applied to it."""

from __future__ import annotations

import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from functools import partial

from pyinfra.api.host import Host

from gpuhost.checks.registry import loading
from gpuhost.drift.apps import AppFiles, all_differences
from gpuhost.drift.difference import Cause, Difference, judged
from gpuhost.drift.report import DriftReport, HostDrift, Standing
from gpuhost.drift.trend import Reading, disk_trend, free_by_mount
from gpuhost.fleet.host_pool import Trouble, each_host, visit
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import HostStatus
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@dataclass(frozen=True)
class _Judged:
    differences: list[Difference]
    applied_at: int | None
    applied_by: str
    disks: Mapping[str, int]


def drift_of(
    fleet: Fleet,
    *,
    seconds: float,
    deadline: float,
    told: Callable[[str], None],
    pending_fails: bool = False,
    disks: Mapping[str, Sequence[Reading]] | None = None,
) -> DriftReport:
    """Judge every host, in parallel. Ctrl-C and the deadline end it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + deadline: seconds for all of them
    + told: hears of each host as soon as it is done
    + disks: by host, what earlier runs found free
    """
    at, files = int(time.time()), AppFiles()

    def visited(host: Host) -> _Judged | Trouble:
        before = (disks or {}).get(host.name, ())
        return visit(fleet, host, seconds, partial(_judge, at, before, files))

    visits = each_host(fleet, visited, told, deadline=deadline, meanwhile=loading())
    hosts = tuple(_host(name, found) for name, found in visits.found.items())
    return DriftReport(hosts, at, visits.interrupted, pending_fails)


def _judge(
    at: int, before: Sequence[Reading], files: AppFiles, now: Snapshot, declared: Settings
) -> _Judged:
    differences = all_differences(now, declared, files, at=at)
    free = free_by_mount(now, declared)
    if filling := disk_trend(before, (at, free)):
        # Nobody applied that: the host changes by itself.
        differences.append(judged(filling, Cause.DRIFT, declared, at=at))
    applied = now.applied
    return _Judged(
        differences,
        applied.at if applied else None,
        applied.by if applied else "",
        free,
    )


def _host(name: str, found: _Judged | Trouble) -> HostDrift:
    if isinstance(found, Trouble):
        unreachable = found.status is HostStatus.UNREACHABLE
        return HostDrift(
            name,
            Standing.UNREACHABLE if unreachable else Standing.ERROR,
            reason=found.reason,
            fix=found.fix,
            settings_wrong=found.settings_wrong,
        )
    return HostDrift.judged(
        name,
        found.differences,
        applied_at=found.applied_at,
        applied_by=found.applied_by,
        disks=found.disks,
    )
