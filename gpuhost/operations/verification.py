"""The end of every deploy: the same checks once more, and the run fails if one of them does."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, State, operation
from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.operations.reading import Commands, executing, read
from gpuhost.outputs.table import in_words, show
from gpuhost.settings import Settings

# What could not be read is not verified.
NOT_VERIFIED = (Status.FAIL, Status.UNKNOWN)


@operation()
def verify(settings: Settings) -> Commands:
    """
    Judge the host by every check. All is well, warnings allowed: no change. A check that fails, or
    that could not read the host, fails this host, alone.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        verify(name="Verification", declared=settings)
    """
    findings = run_checks(read(settings), settings)
    if executing():
        show(host.name, findings)
    if not any(finding.status in NOT_VERIFIED for finding in findings):
        host.noop(f"verified: {in_words(findings)}")
        return
    # In a dry run what fails now is what the run is there to mend: it is no change of its own.
    if executing():
        yield FunctionCommand(_fail, (findings,), {})


def _fail(state: State, host: Host, findings: Sequence[Finding]) -> bool:
    for finding in findings:
        if finding.status in NOT_VERIFIED:
            wanted = f" (wanted: {finding.expected})" if finding.expected else ""
            host.log_styled(f"{finding.id}: {finding.actual}{wanted}", fg="red")
    return False
