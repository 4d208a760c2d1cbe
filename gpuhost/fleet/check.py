"""Run every check on every host."""

from __future__ import annotations

from collections.abc import Callable

from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding
from gpuhost.checks.registry import loading, run_checks
from gpuhost.fleet.host_pool import HostError, on_each_host, with_host
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import FleetReport, HostReport


def check_fleet(fleet: Fleet, seconds: float, on_done: Callable[[str], None]) -> FleetReport:
    """Check every host, in parallel. Ctrl-C ends it with the results so far.

    + seconds: for one host, from connecting to the last check
    + on_done: called with the name of each host as soon as it is done
    """

    def check_host(host: Host) -> list[Finding] | HostError:
        return with_host(fleet, host, seconds, run_checks)

    results = on_each_host(fleet, check_host, on_done, meanwhile=loading())
    reports = (_report(name, result) for name, result in results.by_host.items())
    return FleetReport(tuple(reports), results.interrupted)


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
