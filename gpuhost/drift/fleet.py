"""Read every host once and compare it with the settings and with what was applied to it."""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.fleet.host_pool import HostError, OnDone
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.workers import read_hosts
from gpuhost.settings import Settings

if TYPE_CHECKING:
    from gpuhost.drift.apps import AppFiles
    from gpuhost.drift.comparison import Comparison
    from gpuhost.drift.trend import Reading
    from gpuhost.snapshot import Snapshot


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
    at = int(time.time())

    @cache
    def files() -> AppFiles:
        from gpuhost.drift.apps import AppFiles

        return AppFiles()

    def evaluate(name: str, snapshot: Snapshot, settings: Settings) -> Comparison:
        from gpuhost.drift.comparison import compare

        return compare(at, (disks or {}).get(name, ()), files(), snapshot, settings)

    results = read_hosts(
        fleet, seconds, evaluate, on_done, deadline=deadline, meanwhile=_load_comparison
    )
    hosts = tuple(_host_drift(name, result) for name, result in results.by_host.items())
    return DriftReport(hosts, at, results.interrupted, pending_fails)


def _load_comparison() -> Iterator[None]:
    """Imported while the first hosts log in: connections do not wait for it."""
    from gpuhost.checks.registry import loading

    yield from loading()
    import_module("gpuhost.drift.comparison")


def _host_drift(name: str, result: Comparison | HostError) -> HostDrift:
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
