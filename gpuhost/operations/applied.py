"""The record of what was applied, which the host keeps for the drift check."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pyinfra import host

from gpuhost.checks.registry import run_checks
from gpuhost.drift.applied import document, document_without
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans import apt_sources, gpu
from gpuhost.plans.system_files import SECRET
from gpuhost.remote.commands import put, run
from gpuhost.rollout.draft import current_user
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.applied import APPLIED


@operation
def recorded(settings: Settings) -> Commands:
    """
    Have the host remember which checks are ok, and by which settings. No secret is in it, and only
    root reads it.

    + settings: the settings of this host

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.recorded(name="Record", declared=settings)
    """
    snapshot = read(settings)
    findings = run_checks(snapshot, settings)
    text = document(
        snapshot.applied,
        settings,
        findings,
        at=snapshot.system.now,
        by=current_user(),
        facts=_facts(snapshot, settings),
    )
    yield from written(snapshot, text, otherwise="the record of what is applied is up to date")


def written(snapshot: Snapshot, text: str | None, *, otherwise: str) -> Commands:
    """The record's new text, or what is there, for nobody but root.

    + text: None: what is there is as good
    + otherwise: what is said where nothing is done
    """
    there = snapshot.paths.get(APPLIED)
    if text is not None:
        yield put(APPLIED, text, mode=SECRET)
    elif there and there.mode != SECRET:
        yield run("chmod", SECRET, "--", APPLIED)
    else:
        host.noop(otherwise)


def _facts(snapshot: Snapshot, settings: Settings) -> dict[str, Any]:
    """What cannot be read now is remembered as before."""
    facts = {
        **(snapshot.applied.facts if snapshot.applied else {}),
        **(apt_sources.on_record(snapshot) or {}),
    }
    with suppress(NotRead):
        facts |= gpu.on_record(snapshot, settings)
    return facts


@operation
def forgotten(settings: Settings, nouns: Iterable[str]) -> Commands:
    """
    Have the host forget that something was applied to it, because it was taken away again.

    + settings: the settings of this host
    + nouns: what was taken away, "swap"

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.forgotten(name="Record", declared=settings, nouns=["swap"])
    """
    snapshot = read(settings)
    text = document_without(snapshot.applied, frozenset(nouns))
    yield from written(snapshot, text, otherwise="nothing of it is on record")
