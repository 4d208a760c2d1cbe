"""Drift reports made for tests."""

from __future__ import annotations

from gpuhost.checks.finding import Finding, Status
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.fleet.host_status import HostStatus
from gpuhost.settings.types import Ignored

AT = 1795299544
IGNORED = Ignored(id="*", reason="it is known", until="2999-12-31")
CAUSES = {cause.value: cause for cause in Cause}
SECRET = "pa55word"


def difference(id: str, kind: str) -> Difference:
    """kind: as Difference.kind, or "skip", or "later": a skip for now."""
    if kind == "later":
        return Difference(Finding(Status.SKIP, actual=SECRET, later=True, id=id))
    if kind in CAUSES or kind == "accepted":
        accepted = IGNORED if kind == "accepted" else None
        cause = CAUSES.get(kind, Cause.DRIFT)
        found = Finding(Status.FAIL, "expected", SECRET, SECRET, "repair it", id=id)
        return Difference(found, cause, accepted=accepted)
    cause_of_it = Cause.DRIFT if kind == "warn" else None
    return Difference(Finding(Status(kind), "expected", SECRET, SECRET, id=id), cause_of_it)


def host(name: str, **kinds: str) -> HostDrift:
    """A host that was read; `_` in a finding's id stands for its dot."""
    found = [difference(id.replace("_", "."), kind.replace("_", " ")) for id, kind in kinds.items()]
    return HostDrift.of(name, found, applied_at=AT - 999, applied_by="ada@desk")


def unreachable(name: str) -> HostDrift:
    return HostDrift(name, HostStatus.UNREACHABLE, reason="no answer", fix="try")


def report(*hosts: HostDrift, at: int = AT, interrupted: bool = False) -> DriftReport:
    return DriftReport(hosts, at, interrupted)
