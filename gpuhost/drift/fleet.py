"""Read every host once and compare it with the settings and with what was applied to it."""

from __future__ import annotations

import time
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from gpuhost.checks.registry import loading
from gpuhost.drift.apps import AppFiles, all_differences
from gpuhost.drift.difference import Cause, Difference, bounded, with_acceptance
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.drift.trend import Reading, disk_trend, free_by_mount
from gpuhost.fleet.host_pool import HostError, OnDone
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.workers import read_hosts
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@dataclass(frozen=True)
class _Result:
    differences: list[Difference]
    applied_at: int | None
    applied_by: str
    disks: Mapping[str, int]


def check_drift(
    fleet: Fleet,
    *,
    seconds: float,
    deadline: float,
    on_done: OnDone,
    pending_fails: bool = False,
    disks: Mapping[str, Sequence[Reading]] | None = None,
) -> DriftReport:
    """Compare every host, in parallel. Ctrl-C and the deadline end it with the results so far.

    + seconds: for one host, from connecting to the last check
    + deadline: seconds for all hosts together
    + disks: by host, the free space in earlier runs
    """
    at, files = int(time.time()), AppFiles()

    def compare(name: str, snapshot: Snapshot, settings: Settings) -> _Result:
        return _compare(at, (disks or {}).get(name, ()), files, snapshot, settings)

    results = read_hosts(fleet, seconds, compare, on_done, deadline=deadline, meanwhile=loading)
    hosts = tuple(_host_drift(name, result) for name, result in results.by_host.items())
    return DriftReport(hosts, at, results.interrupted, pending_fails)


def _compare(
    at: int, earlier: Sequence[Reading], files: AppFiles, snapshot: Snapshot, settings: Settings
) -> _Result:
    differences = all_differences(snapshot, settings, files, at=at)
    free = free_by_mount(snapshot, settings)
    if filling := disk_trend(earlier, (at, free)):
        # The host changes by itself.
        differences.append(with_acceptance(filling, Cause.DRIFT, settings, at=at))
    applied = snapshot.applied
    return _Result(
        bounded(differences),
        applied.at if applied else None,
        applied.by if applied else "",
        free,
    )


def _host_drift(name: str, result: _Result | HostError) -> HostDrift:
    if isinstance(result, HostError):
        return HostDrift(
            name,
            result.status,
            reason=result.reason,
            fix=result.fix,
            bad_settings=result.bad_settings,
        )
    return HostDrift.of(
        name,
        result.differences,
        applied_at=result.applied_at,
        applied_by=result.applied_by,
        disks=result.disks,
    )
