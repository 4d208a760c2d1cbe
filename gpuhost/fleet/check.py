"""Every host judged by every check."""

from __future__ import annotations

from collections.abc import Callable

from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import loading, run_checks
from gpuhost.fleet.host_pool import Trouble, each_host, visit
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import FleetReport, HostReport


def check_fleet(fleet: Fleet, seconds: float, told: Callable[[str], None]) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + told: hears of each host as soon as it is done
    """

    def visited(host: Host) -> list[Finding] | Trouble:
        return visit(fleet, host, seconds, run_checks)

    visits = each_host(fleet, visited, told, meanwhile=loading())
    reports = (_report(name, found) for name, found in visits.found.items())
    return FleetReport(tuple(reports), visits.interrupted)


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
