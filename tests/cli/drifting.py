"""Hosts for `gpuhost drift`: blank ones, and ones that were provisioned and are blank again."""

from __future__ import annotations

from dataclasses import asdict
from typing import Any

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import all_checks
from gpuhost.drift.applied import document
from gpuhost.settings import Settings
from gpuhost.snapshot.applied import APPLIED
from tests.cli.sshd import ADDRESSES, Sshd
from tests.recorded import probes

GOOD, OTHER, THIRD = ADDRESSES[:3]
# A setting that no recorded host meets.
MUCH = {"memory_min_gb": 900}
DAY = 86400


def applied(**settings: Any) -> dict[str, str]:
    """The record of a host on which everything was ok with these settings."""
    good = [Finding(Status.OK, id=check.id) for check in all_checks()]
    text = document(None, Settings(**settings), good, at=1795200000, by="ada@desk")
    assert text is not None
    return {APPLIED: text}


def blank(sshd: Sshd, name: str, files: dict[str, str] | None = None) -> str:
    """The command of a blank host that can be read completely.

    Its recording has no firewall: that part is from another host.
    """
    own, others = probes("debian13"), probes("firewall-used").by_name
    more = {name: asdict(probe) for name, probe in others.items() if name not in own}
    return sshd.recorded(name, files=files or {}, probes=more)


def drifting(sshd: Sshd, name: str) -> dict[str, Any]:
    """A host that was provisioned, and is blank again."""
    return sshd.login(blank(sshd, name, applied()))
