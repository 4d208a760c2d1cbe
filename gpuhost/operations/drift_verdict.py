"""What `gpuhost drift` says of a host, as an operation: one that has drifted fails, alone."""

from __future__ import annotations

import sys
import time

from pyinfra import host
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host

from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.drift.apps import AppFiles, all_differences
from gpuhost.drift.report import DriftReport, HostDrift, Standing
from gpuhost.operations.reading import Commands, executing, read
from gpuhost.outputs.drift import findings_in_words, print_drift
from gpuhost.outputs.table import console
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot


@operation()
def judged(settings: Settings) -> Commands:
    """
    Tell what is no longer as it was applied; nothing is changed. A host that has drifted, or that
    could not be wholly read, fails, alone; what only awaits a deploy does not.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        judged(name="Drift", declared=settings)
    """
    at = int(time.time())
    found = _judged(read(settings), settings, at)
    report = DriftReport((found,), at)
    if executing():
        print_drift(report, console(sys.stderr))
    if report.exit is Exit.OK or not executing():
        host.noop(f"{found.standing.value}: {found.reason or findings_in_words(found)}")
        return
    yield FunctionCommand(_fail, (found,), {})


def _judged(snapshot: Snapshot, settings: Settings, at: int) -> HostDrift:
    name = str(host.name)
    try:
        applied = snapshot.applied
        return HostDrift.judged(
            name,
            all_differences(snapshot, settings, AppFiles(), at=at),
            applied_at=applied.at if applied else None,
            applied_by=applied.by if applied else "",
        )
    except NotRead as reason:
        return HostDrift(name, Standing.ERROR, reason=f"could not be read: {reason}")


def _fail(state: State, host: Host, found: HostDrift) -> bool:
    words = found.reason or findings_in_words(found)
    host.log_styled(f"{found.standing.value}: {words}", fg="red")
    return False
