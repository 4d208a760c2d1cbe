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
from gpuhost.operations.applied import write_record
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.outputs.table import in_words, show
from gpuhost.rollout.draft import who
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NOUN = "drift"


@operation
def recorded(settings: Settings) -> Commands:
    """
    Have a control host remember that the nightly drift check was installed on it, and nothing else:
    it need not be a host that gpuhost makes ready.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        recorded(name="Record", declared=settings)
    """
    snapshot = read(settings)
    text = document(
        snapshot.applied, settings, _found(snapshot, settings), at=snapshot.system.now, by=who()
    )
    yield from write_record(snapshot, text, otherwise="the record of what is applied is up to date")


@pyinfra_operation()
def verified(settings: Settings) -> Commands:
    """
    Judge a control host by the checks of the nightly drift check alone; one that fails, or that
    could not be read, fails this host.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        verified(name="Verification", declared=settings)
    """
    findings = _found(read(settings), settings)
    wrong = [one for one in findings if one.status in (Status.FAIL, Status.UNKNOWN)]
    if executing():
        show(host.name, findings)
    if not wrong:
        host.noop(f"verified: {in_words(findings)}")
    elif executing():
        yield FunctionCommand(_fail, (wrong,), {})


def _found(snapshot: Snapshot, settings: Settings) -> list[Finding]:
    return run_checks(snapshot, settings, [NOUN])


def _fail(state: State, host: Host, wrong: Sequence[Finding]) -> bool:
    for finding in wrong:
        host.log_styled(f"{finding.id}: {finding.actual}; {finding.fix}", fg="red")
    return False
