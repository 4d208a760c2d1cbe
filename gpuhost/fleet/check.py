"""Run every check on every host."""

from __future__ import annotations

from collections.abc import Iterator
from typing import TYPE_CHECKING

from gpuhost.checks.finding import Finding
from gpuhost.fleet.host_pool import HostError, OnDone
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.fleet.workers import read_hosts
from gpuhost.settings import Settings

if TYPE_CHECKING:
    from gpuhost.snapshot import Snapshot


def check_fleet(fleet: Fleet, seconds: float, on_done: OnDone) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with the results so far.

    + seconds: for one host, from connecting to the last check
    """

    def check(name: str, snapshot: Snapshot, settings: Settings) -> list[Finding]:
        from gpuhost.checks.registry import run_checks

        return run_checks(snapshot, settings)

    results = read_hosts(fleet, seconds, check, on_done, meanwhile=_load_checks)
    reports = (_report(name, result) for name, result in results.by_host.items())
    return FleetReport(tuple(reports), results.interrupted)


def _load_checks() -> Iterator[None]:
    """Imported while the first hosts log in: connections do not wait for it."""
    from gpuhost.checks.registry import loading

    yield from loading()


def _report(name: str, result: list[Finding] | HostError) -> HostReport:
    if isinstance(result, HostError):
        return HostReport(
            name,
            result.status,
            reason=result.reason,
            fix=result.fix,
            bad_settings=result.bad_settings,
        )
    return HostReport.of(name, result)
