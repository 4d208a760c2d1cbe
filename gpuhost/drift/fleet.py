"""Every host read once and judged by every check, and against what was applied to it."""

from __future__ import annotations

import time
from collections.abc import Callable
from dataclasses import dataclass

from gpuhost.checks.registry import run_checks
from gpuhost.drift.difference import Difference, difference
from gpuhost.drift.report import DriftReport, HostDrift, Standing
from gpuhost.fleet.inventory import Fleet
from gpuhost.fleet.report import HostStatus
from gpuhost.fleet.visiting import Trouble, each_host, visit
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@dataclass(frozen=True)
class _Judged:
    differences: list[Difference]
    applied_at: int | None
    applied_by: str


def drift_of(
    fleet: Fleet,
    *,
    seconds: float,
    deadline: float,
    told: Callable[[str], None],
    pending_fails: bool = False,
) -> DriftReport:
    """Judge every host, in parallel. Ctrl-C and the deadline end it with what is known so far.

    + seconds: for one host, from connecting to the last check
    + deadline: seconds for all of them
    + told: hears of each host as soon as it is done
    """
    at = int(time.time())
    visits = each_host(
        fleet, lambda host: visit(fleet, host, seconds, _judge), told, deadline=deadline
    )
    hosts = tuple(_host(name, found) for name, found in visits.found.items())
    return DriftReport(hosts, at, visits.interrupted, pending_fails)


def _judge(now: Snapshot, declared: Settings) -> _Judged:
    findings = run_checks(now, declared)
    applied = now.applied
    return _Judged(
        [difference(finding, now, declared) for finding in findings],
        applied.at if applied else None,
        applied.by if applied else "",
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
    )
