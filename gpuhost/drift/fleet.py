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
from gpuhost.fleet.host_pool import HostError, on_each_host, with_host
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

    def visited(host: Host) -> _Judged | HostError:
        before = (disks or {}).get(host.name, ())
        return with_host(fleet, host, seconds, partial(_judge, at, before, files))

    visits = on_each_host(fleet, visited, told, deadline=deadline, meanwhile=loading())
    hosts = tuple(_host(name, found) for name, found in visits.found.items())
    return DriftReport(hosts, at, visits.interrupted, pending_fails)


def _judge(
    at: int, before: Sequence[Reading], files: AppFiles, snapshot: Snapshot, settings: Settings
) -> _Judged:
    differences = all_differences(snapshot, settings, files, at=at)
    free = free_by_mount(snapshot, settings)
    if filling := disk_trend(before, (at, free)):
        # Nobody applied that: the host changes by itself.
        differences.append(judged(filling, Cause.DRIFT, settings, at=at))
    applied = snapshot.applied
    return _Judged(
        differences,
        applied.at if applied else None,
        applied.by if applied else "",
        free,
    )


def _host(name: str, found: _Judged | HostError) -> HostDrift:
    if isinstance(found, HostError):
        unreachable = found.status is HostStatus.UNREACHABLE
        return HostDrift(
            name,
            Standing.UNREACHABLE if unreachable else Standing.ERROR,
            reason=found.reason,
            fix=found.fix,
            bad_settings=found.bad_settings,
        )
    return HostDrift.judged(
        name,
        found.differences,
        applied_at=found.applied_at,
        applied_by=found.applied_by,
        disks=found.disks,
    )
