"""The record of what was applied, which the host keeps for the drift check."""

from __future__ import annotations

from collections.abc import Iterable
from contextlib import suppress
from typing import Any

from pyinfra import host

from gpuhost.applied import document, document_without
from gpuhost.checks import apt_sources
from gpuhost.checks.registry import run_checks
from gpuhost.nvidia import wanted
from gpuhost.operations.commands import put
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.release.draft import who
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.applied import APPLIED


@operation
def recorded(declared: Settings) -> Commands:
    """
    Have the host remember which checks are ok, and by which settings. No secret is in it.

    + declared: the settings of this host

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.recorded(name="Record", declared=settings)
    """
    now = read(declared)
    findings = run_checks(now, declared)
    text = document(
        now.applied, declared, findings, at=now.system.now, by=who(), facts=_facts(now, declared)
    )
    if text is None:
        host.noop("the record of what is applied is up to date")
        return
    yield put(APPLIED, text)


def _facts(now: Snapshot, declared: Settings) -> dict[str, Any]:
    """What cannot be read now is remembered as before."""
    facts = {**(now.applied.facts if now.applied else {}), **(apt_sources.on_record(now) or {})}
    with suppress(NotRead):
        facts |= wanted.on_record(now, declared)
    return facts


@operation
def forgotten(declared: Settings, nouns: Iterable[str]) -> Commands:
    """
    Have the host forget that something was applied to it, because it was taken away again.

    + declared: the settings of this host
    + nouns: what was taken away, "swap"

    **Example:**

    .. code:: python

        from gpuhost.operations import applied
        applied.forgotten(name="Record", declared=settings, nouns=["swap"])
    """
    text = document_without(read(declared).applied, frozenset(nouns))
    if text is None:
        host.noop("nothing of it is on record")
        return
    yield put(APPLIED, text)
