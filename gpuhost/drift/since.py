"""What is new since an earlier run, and what is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.checks.finding import Status
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.report import DriftReport, HostDrift
from gpuhost.fleet.host_status import HostStatus

# A host that could not be reached or read is reported under this id, like a finding.
UNREAD = "host.read"
UNKNOWN = Status.UNKNOWN.value
# How important each kind is. A finding that becomes more important is new again.
WEIGHT = {
    Status.WARN.value: 0,
    Cause.PENDING.value: 1,
    Cause.NEVER_APPLIED.value: 1,
    UNKNOWN: 2,
    Cause.DRIFT.value: 3,
}

# What needs attention: by host, the kind of each finding by its id.
OpenFindings = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Change:
    """kind: the finding's present kind; if it is gone, its last kind."""

    host: str
    id: str
    kind: str


@dataclass(frozen=True)
class Changes:
    """What changed. at: when the earlier run started; None: no earlier run."""

    at: int | None = None
    new: tuple[Change, ...] = ()
    gone: tuple[Change, ...] = ()

    @property
    def changed(self) -> bool:
        return bool(self.new or self.gone)

    @property
    def new_findings(self) -> frozenset[tuple[str, str]]:
        """Host and id of each."""
        return frozenset((one.host, one.id) for one in self.new)

    def to_json(self) -> dict[str, Any]:
        return {
            "at": self.at,
            "new": [vars(one) for one in self.new],
            "gone": [vars(one) for one in self.gone],
        }


def compare(at: int, before: OpenFindings, after: OpenFindings) -> Changes:
    """Compare two runs.

    + at: when the earlier one started
    + after: from `open_findings`, given `before`
    """
    return Changes(at, _worst_first(_new(before, after)), _worst_first(_gone(before, after)))


def _new(before: OpenFindings, after: OpenFindings) -> Iterator[Change]:
    for host, kinds in after.items():
        known = before.get(host, {})
        for id, kind in kinds.items():
            if id not in known or _weight(kind) > _weight(known[id]):
                yield Change(host, id, kind)


def _gone(before: OpenFindings, after: OpenFindings) -> Iterator[Change]:
    for host, kinds in before.items():
        for id, kind in kinds.items():
            if id not in after.get(host, {}):
                yield Change(host, id, kind)


def _weight(kind: str) -> int:
    return WEIGHT.get(kind, WEIGHT[UNKNOWN])


def _worst_first(changes: Iterator[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda one: -_weight(one.kind)))


def forget_removed_hosts(before: OpenFindings, names: Collection[str]) -> OpenFindings:
    """Remove hosts that are not in the inventory: a new host may get the same name.

    + names: all hosts of the inventory, also those that this run does not read
    """
    return {host: kinds for host, kinds in before.items() if host in names}


def open_findings(report: DriftReport, before: OpenFindings) -> dict[str, dict[str, str]]:
    """What needs attention after this run, without what is accepted.

    The earlier findings of a host that was not read are kept: it is unknown whether they are gone.
    """
    read = {host.host: _of_host(host, before.get(host.host, {})) for host in report.hosts}
    others = {host: dict(kinds) for host, kinds in before.items() if host not in read}
    return {host: kinds for host, kinds in (read | others).items() if kinds}


def _of_host(host: HostDrift, known: Mapping[str, str]) -> dict[str, str]:
    if not host.differences and host.status in (HostStatus.UNREACHABLE, HostStatus.ERROR):
        return {**known, UNREAD: host.status.value}
    kinds = {one.finding.id: _kind(one, known) for one in host.differences if _is_open(one)}
    return {**{id: known[id] for id in _not_evaluated(host, known)}, **kinds}


def _not_evaluated(host: HostDrift, known: Mapping[str, str]) -> Iterator[str]:
    """The known findings that this run did not evaluate: they are not gone."""
    findings = {one.finding.id: one.finding for one in host.differences}
    # A finding may be missing because its part of the host was not read: the apps, the disks.
    partly_read = any(one.is_unread for one in host.differences)
    for id in known:
        finding = findings.get(id)
        if finding.later if finding else partly_read and id != UNREAD:
            yield id


def _is_open(one: Difference) -> bool:
    return one.finding.needs_attention and one.accepted is None


def _kind(one: Difference, known: Mapping[str, str]) -> str:
    last = known.get(one.finding.id, UNKNOWN)
    if one.finding.status is Status.UNKNOWN:
        # It may still have the last kind.
        return max(last, UNKNOWN, key=_weight)
    return one.kind
