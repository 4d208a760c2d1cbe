"""The end of deploys/drift_timer.py: what it installed is put on record and judged once more."""

from __future__ import annotations

from collections.abc import Sequence

from pyinfra import host
from pyinfra.api import FunctionCommand, State
from pyinfra.api import operation as pyinfra_operation
from pyinfra.api.host import Host

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import document
from gpuhost.operations.applied import written
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.outputs.table import in_words, show
from gpuhost.rollout.draft import who
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NOUN = "drift"


@operation
def recorded(declared: Settings) -> Commands:
    """
    Have a control host remember that the nightly drift check was installed on it, and nothing else:
    it need not be a host that gpuhost makes ready.

    + declared: the settings of this host

    **Example:**

    .. code:: python

        recorded(name="Record", declared=settings)
    """
    now = read(declared)
    text = document(now.applied, declared, _found(now, declared), at=now.system.now, by=who())
    yield from written(now, text, otherwise="the record of what is applied is up to date")


@pyinfra_operation()
def verified(declared: Settings) -> Commands:
    """
    Judge a control host by the checks of the nightly drift check alone; one that fails, or that
    could not be read, fails this host.

    + declared: the settings of this host

    **Example:**

    .. code:: python

        verified(name="Verification", declared=settings)
    """
    findings = _found(read(declared), declared)
    wrong = [one for one in findings if one.status in (Status.FAIL, Status.UNKNOWN)]
    if executing():
        show(host.name, findings)
    if not wrong:
        host.noop(f"verified: {in_words(findings)}")
    elif executing():
        yield FunctionCommand(_fail, (wrong,), {})


def _found(now: Snapshot, declared: Settings) -> list[Finding]:
    return run_checks(now, declared, [NOUN])


def _fail(state: State, host: Host, wrong: Sequence[Finding]) -> bool:
    for finding in wrong:
        host.log_styled(f"{finding.id}: {finding.actual}; {finding.fix}", fg="red")
    return False
