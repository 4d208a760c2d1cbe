"""The end of deploys/drift_timer.py: record what it installed, and verify it."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, State
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import document
from gpuhost.operations.applied import write_record
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.outputs.table import console, print_findings, summarize
from gpuhost.rollout.draft import current_user
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NOUN = "drift"


@operation
def record(settings: Settings) -> Commands:
    """
    Record on a control host that the nightly drift check is installed, and nothing else: gpuhost
    need not have provisioned it.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        record(name="Record", settings=settings)
    """
    snapshot = read(settings)
    text = document(
        snapshot.applied,
        settings,
        _findings(snapshot, settings),
        at=snapshot.system.now,
        by=current_user(),
    )
    yield from write_record(snapshot, text, otherwise="the record of what is applied is up to date")


@pyinfra_operation()
def verify(settings: Settings) -> Commands:
    """
    Run only the checks of the nightly drift check on a control host. If one fails, or could not be
    read, this host fails.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        verify(name="Verification", settings=settings)
    """
    findings = _findings(read(settings), settings)
    failed = [finding for finding in findings if finding.status in (Status.FAIL, Status.UNKNOWN)]
    if executing():
        print_findings(str(host.name), findings, console(sys.stderr))
    if not failed:
        host.noop(f"verified: {summarize(findings)}")
    elif executing():
        yield FunctionCommand(_fail, (failed,), {})


def _findings(snapshot: Snapshot, settings: Settings) -> list[Finding]:
    return run_checks(snapshot, settings, [NOUN])


def _fail(state: State, host: Host, failed: Sequence[Finding]) -> bool:
    for finding in failed:
        host.log_styled(f"{finding.id}: {finding.actual}; {finding.fix}", fg="red")
    return False
