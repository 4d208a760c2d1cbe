"""Every host judged by every check."""

from __future__ import annotations

from collections.abc import Callable

from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import loading, run_checks
from gpuhost.fleet.host_pool import HostError, on_each_host, with_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import FleetReport, HostReport


def check_fleet(fleet: Fleet, seconds: float, told: Callable[[str], None]) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + told: hears of each host as soon as it is done
    """

    def visited(host: Host) -> list[Finding] | HostError:
        return with_host(fleet, host, seconds, run_checks)

    visits = on_each_host(fleet, visited, told, meanwhile=loading())
    reports = (_report(name, found) for name, found in visits.found.items())
    return FleetReport(tuple(reports), visits.interrupted)


def _report(name: str, found: list[Finding] | HostError) -> HostReport:
    if isinstance(found, HostError):
        return HostReport(
            name,
            found.status,
            reason=found.reason,
            fix=found.fix,
            bad_settings=found.bad_settings,
        )
    return HostReport.judged(name, found)
