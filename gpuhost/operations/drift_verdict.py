"""`gpuhost drift` for one host, as an operation: a host that has drifted fails."""

from __future__ import annotations

import sys
import time

from pyinfra import host
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host

from gpuhost.domain.exit_status import Exit
from gpuhost.drift.apps import AppFiles, all_differences
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.fleet.host_status import HostStatus
from gpuhost.operations.reading import Commands, executing, read
from gpuhost.outputs.drift import print_drift, summarize_findings
from gpuhost.outputs.table import console
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot


@operation()
def report_drift(settings: Settings) -> Commands:
    """
    Show what is no longer as it was applied; change nothing. A host that has drifted, or that
    could not be read completely, fails; other hosts go on. Pending differences are no failure.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        report_drift(name="Drift", settings=settings)
    """
    at = int(time.time())
    result = _compare(read(settings), settings, at)
    report = DriftReport((result,), at)
    if executing():
        print_drift(report, console(sys.stderr))
    if report.exit is Exit.OK or not executing():
        host.noop(_describe(result))
        return
    yield FunctionCommand(_fail, (result,), {})


def _compare(snapshot: Snapshot, settings: Settings, at: int) -> HostDrift:
    name = str(host.name)
    try:
        applied = snapshot.applied
        return HostDrift.of(
            name,
            all_differences(snapshot, settings, AppFiles(), at=at),
            applied_at=applied.at if applied else None,
            applied_by=applied.by if applied else "",
        )
    except NotRead as reason:
        return HostDrift(name, HostStatus.ERROR, reason=f"could not be read: {reason}")


def _fail(state: State, host: Host, result: HostDrift) -> bool:
    host.log_styled(_describe(result), fg="red")
    return False


def _describe(result: HostDrift) -> str:
    return f"{result.status.value}: {result.reason or summarize_findings(result)}"
