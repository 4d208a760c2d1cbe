"""The end of the deploy: every check once more; then what failed, in one place."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyinfra import host, logger
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host
from pyinfra.context import ctx_state

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.operations.failures import blocks_apps, note_findings, summary
from gpuhost.operations.reading import Commands, executing, read
from gpuhost.outputs.table import console, print_findings, summarize
from gpuhost.rollout.batch import stop_rollout
from gpuhost.settings import Settings

# What could not be read is not verified.
NOT_VERIFIED = (Status.FAIL, Status.UNKNOWN)


@operation()
def verify(settings: Settings) -> Commands:
    """
    Run every check and show what is not ok. If all are ok or only warn: no change. If a check
    fails, or could not read the host, this operation fails.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        verify(name="Verification", settings=settings)
    """
    findings = run_checks(read(settings), settings)
    if executing():
        note_findings(host, findings)
        _stop_apps(settings)
        print_findings(str(host.name), findings, console(sys.stderr))
    if not any(finding.status in NOT_VERIFIED for finding in findings):
        host.noop(f"verified: {summarize(findings)}")
        return
    # In a dry run, what fails now is what the run would repair: not a change of its own.
    if executing():
        yield FunctionCommand(_fail, (findings,), {})


def _stop_apps(settings: Settings) -> None:
    """Other hosts do not start to release an app that this host cannot release."""
    if blocks_apps(host):
        for app in settings.apps:
            stop_rollout(ctx_state.get(), app, host)


@operation()
def conclude() -> Commands:
    """
    Show what failed in this run, and what was skipped because of it; then the host fails. If
    nothing failed: no change.

    **Example:**

    .. code:: python

        conclude(name="Result")
    """
    lines = list(summary(host)) if executing() else []
    if lines:
        yield FunctionCommand(_fail_with, (lines,), {})
    else:
        host.noop("nothing failed")


def _fail_with(state: State, host: Host, lines: Sequence[str]) -> bool:
    for line in lines:
        host.log_styled(line, fg="red", log_func=logger.error)
    return False


def _fail(state: State, host: Host, findings: Sequence[Finding]) -> bool:
    for finding in findings:
        if finding.status in NOT_VERIFIED:
            expected = f" (expected: {finding.expected})" if finding.expected else ""
            host.log_styled(f"{finding.id}: {finding.actual}{expected}", fg="red")
    return False
