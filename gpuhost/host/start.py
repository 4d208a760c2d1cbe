"""The beginning of every deploy: this host's settings, and whether the host is one for us."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyinfra import host, logger, state

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import Check
from gpuhost.checks.system import init, privileges, supported
from gpuhost.declaration import BadSettings, declared_for
from gpuhost.host.no_terminal import never_ask_without_terminal
from gpuhost.operations.reading import read
from gpuhost.outputs.on_failure import show_findings_on_failure
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# Without these nothing else can be done or judged.
GATE = (privileges, supported, init)


def begin() -> Settings | None:
    """The settings of this host; None ends the deploy for this host alone, and says why.

    **Example:**

    .. code:: python

        if settings := begin():
            swap.ready(settings)
    """
    never_ask_without_terminal()
    try:
        declared = declared_for(host)
    except BadSettings as error:
        _end([f"settings: {line}" for line in error.lines])
        return None
    now = read(declared)
    refusals = [finding for finding in map(partial(_judge, now, declared), GATE) if finding]
    if refusals:
        _end(refusals)
        return None
    show_findings_on_failure(state)
    return declared


def _judge(now: Snapshot, declared: Settings, gate: Check) -> str | None:
    finding = gate.find(now, declared)
    if finding.status in (Status.FAIL, Status.UNKNOWN):
        return f"{finding.id}: {finding.actual}; {finding.fix or 'nothing was changed'}"
    return None


def _end(lines: list[str]) -> None:
    for line in lines:
        logger.error(f"{host.print_prefix}{line}")
    state.fail_hosts({host})


def elevated(declared: Settings) -> dict[str, Any]:
    """`_sudo` for operations, where the one who logs in is not root but becomes root by sudo.

    `_sudo` for root itself would fail on a host without sudo.
    """
    try:
        return {"_sudo": True} if read(declared).system.sudo else {}
    except NotRead:
        return {}
