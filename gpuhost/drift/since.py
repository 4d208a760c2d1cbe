"""What is new since an earlier run, and what is gone."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from gpuhost.checks.finding import Status
from gpuhost.drift.difference import Difference
from gpuhost.drift.report import DriftReport, HostDrift, Standing

# That a host was not reached or not read at all is told like a finding, under this id.
UNREAD = "host.read"
UNKNOWN = Status.UNKNOWN.value
# How much each kind matters. What begins to matter more is told anew.
WEIGHT = {"warn": 0, "pending": 1, "new": 1, UNKNOWN: 2, "drift": 3}

# What needs somebody: by host, the kind of each finding by its id.
Open = Mapping[str, Mapping[str, str]]


@dataclass(frozen=True)
class Change:
    """kind: of the finding now, and of one that is gone, what it was."""

    host: str
    id: str
    kind: str


@dataclass(frozen=True)
class Since:
    """What changed. at: when the earlier run began; None: there was none."""

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
        """As schema 1 has it."""
        return {
            "at": self.at,
            "new": [vars(one) for one in self.new],
            "gone": [vars(one) for one in self.gone],
        }


def since(at: int, before: Open, now: Open) -> Since:
    """Compare two runs.

    + at: when the earlier one began
    + now: as `open_now` has it after `before`
    """
    return Since(at, _worst_first(_new(before, now)), _worst_first(_new(now, before, gone=True)))


def _new(before: Open, now: Open, *, gone: bool = False) -> Iterator[Change]:
    for host, found in now.items():
        known = before.get(host, {})
        for id, kind in found.items():
            if id not in known or (not gone and _weight(kind) > _weight(known[id])):
                yield Change(host, id, kind)


def _weight(kind: str) -> int:
    return WEIGHT.get(kind, WEIGHT[UNKNOWN])


def _worst_first(changes: Iterator[Change]) -> tuple[Change, ...]:
    return tuple(sorted(changes, key=lambda one: -_weight(one.kind)))


def named(before: Open, names: Collection[str]) -> Open:
    """What is known of the hosts that the inventory still names: another may get an old one's name.

    + names: of the whole inventory, whichever of it is judged
    """
    return {host: found for host, found in before.items() if host in names}


def open_now(report: DriftReport, before: Open) -> dict[str, dict[str, str]]:
    """What needs somebody after this run. What was accepted is not in it.

    Of a host that was not read, or not in this run, it is what was known before: nothing is gone
    because nobody looked.
    """
    read = {host.host: _of_host(host, before.get(host.host, {})) for host in report.hosts}
    others = {host: dict(found) for host, found in before.items() if host not in read}
    return {host: found for host, found in (read | others).items() if found}


def _of_host(host: HostDrift, known: Mapping[str, str]) -> dict[str, str]:
    if not host.differences and host.standing in (Standing.UNREACHABLE, Standing.ERROR):
        return {**known, UNREAD: host.standing.value}
    needing = (one for one in host.differences if _needs_somebody(one))
    now = {one.finding.id: _kind(one, known) for one in needing}
    return {**{id: known[id] for id in _not_judged(host, known)}, **now}


def _not_judged(host: HostDrift, known: Mapping[str, str]) -> Iterator[str]:
    """Of what was known, that of which this reading says nothing: it is not gone for that."""
    found = {one.finding.id: one.finding for one in host.differences}
    # What was not read may be why there is no such finding: the apps of a host, its disks.
    partly = any(one.unread for one in host.differences)
    for id in known:
        finding = found.get(id)
        if finding.later if finding else partly and id != UNREAD:
            yield id


def _needs_somebody(one: Difference) -> bool:
    return one.finding.status not in (Status.OK, Status.SKIP) and one.accepted is None


def _kind(one: Difference, known: Mapping[str, str]) -> str:
    was = known.get(one.finding.id, UNKNOWN)
    if one.finding.status is Status.UNKNOWN:
        # It may well be as bad as it was.
        return max(was, UNKNOWN, key=_weight)
    return one.kind
