"""Operations on the record of what was applied, which the host keeps for the drift check."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from dataclasses import replace
from typing import Any

from pyinfra import host, logger

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import document, document_without
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.plans import apt_sources, gpu, watched
from gpuhost.plans.system_files import SECRET
from gpuhost.remote.commands import put, run
from gpuhost.rollout.draft import current_user
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.applied import APPLIED


@operation
def record(settings: Settings) -> Commands:
    """
    Record on the host which checks are ok, and the settings that were applied. The record holds no
    secret, and only root can read it.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.record(name="Record", settings=settings)
    """
    snapshot = read(settings)
    findings = [_as_recorded(finding) for finding in run_checks(snapshot, settings)]
    text = document(
        snapshot.applied,
        settings,
        findings,
        at=snapshot.system.now,
        by=current_user(),
        facts=_facts(snapshot, settings),
    )
    yield from write_record(snapshot, text, otherwise="the record of what is applied is up to date")


def _as_recorded(finding: Finding) -> Finding:
    """What is watched is as recorded from now on: whoever runs the deploy must see it."""
    if finding.id not in watched.CHECKS or not finding.needs_attention:
        return finding
    if executing():
        logger.warning(f"{host.print_prefix}recorded as it is now: {finding.actual}")
    return replace(finding, status=Status.OK)


@operation
def forget(settings: Settings, nouns: Iterable[str]) -> Commands:
    """
    Delete nouns that were removed from the host's record of what was applied.

    + settings: the settings of this host
    + nouns: what was removed: "swap"

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.forget(name="Record", settings=settings, nouns=["swap"])
    """
    snapshot = read(settings)
    text = document_without(snapshot.applied, frozenset(nouns))
    yield from write_record(snapshot, text, otherwise="the record does not mention it")


def write_record(snapshot: Snapshot, text: str | None, *, otherwise: str) -> Commands:
    """Write the record, or restore its mode.

    + text: the new text; None: the record is up to date
    + otherwise: what to print if there is nothing to do
    """
    file = snapshot.paths.get(APPLIED)
    if text is not None:
        yield put(APPLIED, text, mode=SECRET)
    elif file and file.mode != SECRET:
        yield run("chmod", SECRET, "--", APPLIED)
    else:
        host.noop(otherwise)


def _facts(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """Recorded facts; one that cannot be read now keeps its recorded value."""
    facts = {
        **(snapshot.applied.facts if snapshot.applied else {}),
        **(apt_sources.on_record(snapshot) or {}),
    }
    with suppress(NotRead):
        facts |= gpu.on_record(snapshot, settings)
    with suppress(NotRead):
        facts |= watched.on_record(snapshot, settings)
    return facts
