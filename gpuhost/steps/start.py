"""The start of every deploy: this host's settings, and whether gpuhost supports the host."""

from __future__ import annotations

from functools import partial
from typing import Any

from pyinfra import host, logger, state
from pyinfra.context import ctx_host, ctx_state

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.operations.failures import continue_after_failures, continues
from gpuhost.operations.reading import read
from gpuhost.remote.controller import protect_controller
from gpuhost.settings import Settings
from gpuhost.settings.merge import BadSettings, settings_of
from gpuhost.snapshot import NotRead, Snapshot

# Without these no other step is possible.
GATE = ("system.privileges", "system.supported", "system.init")


def load_settings_or_stop(*, keep_going: bool = False) -> Settings | None:
    """The settings of this host. If they are invalid, or gpuhost does not support the host, print
    why and end the deploy for this host only: None.

    + keep_going: a failed operation stops only those that need it; the deploy ends with `conclude`

    **Example:**

    .. code:: python

        if settings := load_settings_or_stop():
            swap.apply(settings)
    """
    protect_controller()
    try:
        settings = settings_of(host)
    except BadSettings as error:
        _end([f"settings: {line}" for line in error.lines])
        return None
    snapshot = read(settings)
    refusals = [reason for reason in map(partial(_refusal, snapshot, settings), GATE) if reason]
    if refusals:
        _end(refusals)
        return None
    if keep_going:
        continue_after_failures(ctx_state.get(), ctx_host.get())
    return settings


def _refusal(snapshot: Snapshot, settings: Settings, gate: str) -> str | None:
    finding = finding_of(gate, snapshot, settings)
    if finding.status in (Status.FAIL, Status.UNKNOWN):
        return f"{finding.id}: {finding.actual}; {finding.fix or 'nothing was changed'}"
    return None


def _end(lines: list[str]) -> None:
    for line in lines:
        logger.error(f"{host.print_prefix}{line}")
    state.fail_hosts({host})


def sudo_args(settings: Settings) -> dict[str, Any]:
    """`_sudo` for operations, if the login user is not root but may use sudo.

    For root, `_sudo` would fail on a host without sudo. In a deploy that continues after failures
    also `_ignore_errors`: its end fails the host.
    """
    more = {"_ignore_errors": True} if continues(ctx_host.get()) else {}
    try:
        return {"_sudo": True, **more} if read(settings).system.sudo else more
    except NotRead:
        return more
