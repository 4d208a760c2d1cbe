"""The end of every deploy: every check once more. If one fails, the host fails."""

from __future__ import annotations

import sys
from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.operations.reading import Commands, executing, read
from gpuhost.outputs.table import console, print_findings, summarize
from gpuhost.settings import Settings

# What could not be read is not verified.
NOT_VERIFIED = (Status.FAIL, Status.UNKNOWN)


@operation()
def verify(settings: Settings) -> Commands:
    """
    Run every check and show what is not ok. If all are ok or only warn: no change. If a check
    fails, or could not read the host, this host fails; other hosts go on.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        verify(name="Verification", settings=settings)
    """
    findings = run_checks(read(settings), settings)
    if executing():
        print_findings(str(host.name), findings, console(sys.stderr))
    if not any(finding.status in NOT_VERIFIED for finding in findings):
        host.noop(f"verified: {summarize(findings)}")
        return
    # In a dry run, what fails now is what the run would repair: not a change of its own.
    if executing():
        yield FunctionCommand(_fail, (findings,), {})


def _fail(state: State, host: Host, findings: Sequence[Finding]) -> bool:
    for finding in findings:
        if finding.status in NOT_VERIFIED:
            expected = f" (expected: {finding.expected})" if finding.expected else ""
            host.log_styled(f"{finding.id}: {finding.actual}{expected}", fg="red")
    return False
