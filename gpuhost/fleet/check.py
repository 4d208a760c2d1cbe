"""Every host judged by every check."""

from __future__ import annotations

from collections.abc import Callable

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import run_checks
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import FleetReport, HostReport
from gpuhost.fleet.visiting import Trouble, each_host, visit
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def check_fleet(fleet: Fleet, seconds: float, told: Callable[[str], None]) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + told: hears of each host as soon as it is done
    """
    visits = each_host(fleet, lambda host: visit(fleet, host, seconds, _findings), told)
    reports = (_report(name, found) for name, found in visits.found.items())
    return FleetReport(tuple(reports), visits.interrupted)


def _findings(now: Snapshot, declared: Settings) -> list[Finding]:
    return run_checks(now, declared)


def _report(name: str, found: list[Finding] | Trouble) -> HostReport:
    if isinstance(found, Trouble):
        return HostReport(
            name,
            found.status,
            reason=found.reason,
            fix=found.fix,
            settings_wrong=found.settings_wrong,
        )
    return HostReport.judged(name, found)
