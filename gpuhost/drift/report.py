"""The result of a drift run: host by host, finding by finding, and as one exit status."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from importlib.metadata import version
from typing import Any

from gpuhost.checks.finding import WORST_FIRST
from gpuhost.domain.exit_status import Exit
from gpuhost.drift.difference import Difference
from gpuhost.fleet.host_status import HostStatus

SCHEMA = 2
# The statuses of a host after a drift run, worst first.
STATUSES = (
    HostStatus.UNREACHABLE,
    HostStatus.ERROR,
    HostStatus.DRIFT,
    HostStatus.PENDING,
    HostStatus.OK,
)
NEED_ATTENTION = STATUSES[: STATUSES.index(HostStatus.PENDING)]


@dataclass(frozen=True)
class HostDrift:
    """One host.

    + applied_at, applied_by: when (epoch seconds) and by whom it was last provisioned
    + reason: one line, why it is unreachable or an error
    + fix: what to do about it
    + bad_settings: its settings are invalid, so it was not contacted
    + disks: free bytes, by mount point
    """

    host: str
    status: HostStatus
    differences: tuple[Difference, ...] = ()
    applied_at: int | None = None
    applied_by: str = ""
    reason: str = ""
    fix: str = ""
    bad_settings: bool = False
    disks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def of(
        cls,
        host: str,
        differences: Sequence[Difference],
        *,
        applied_at: int | None = None,
        applied_by: str = "",
        disks: Mapping[str, int] | None = None,
    ) -> HostDrift:
        """A host that was read. If something is unknown and not accepted, it is an error."""
        unread = [one.finding.id for one in differences if one.is_unread]
        reason = f"could not be read: {', '.join(unread)}" if unread else ""
        return cls(
            host,
            _status(differences),
            tuple(differences),
            applied_at,
            applied_by,
            reason,
            disks=disks or {},
        )

    @property
    def reported(self) -> list[Difference]:
        """What reports show, worst first: what is not ok, also if it is accepted."""
        return sorted((d for d in self.differences if d.finding.needs_attention), key=_order)

    def to_json(self) -> dict[str, Any]:
        """The host in schema 2."""
        applied = {"at": self.applied_at, "by": self.applied_by}
        return {
            "host": self.host,
            "status": self.status.value,
            "reason": f"{self.reason}; {self.fix}" if self.fix else self.reason,
            "applied": None if self.applied_at is None else applied,
            "findings": [_to_json(one) for one in self.differences],
        }


def _order(one: Difference) -> tuple[bool, int, bool, str]:
    return (
        one.accepted is not None,
        WORST_FIRST.index(one.finding.status),
        not one.is_drift,
        one.finding.id,
    )


def _status(differences: Sequence[Difference]) -> HostStatus:
    if any(one.is_unread for one in differences):
        return HostStatus.ERROR
    if any(one.is_drift for one in differences):
        return HostStatus.DRIFT
    if any(one.is_pending for one in differences):
        return HostStatus.PENDING
    return HostStatus.OK


def _to_json(one: Difference) -> dict[str, Any]:
    accepted = one.accepted or one.expired
    return {
        **one.finding.to_json(),
        "cause": one.cause.value if one.cause else None,
        "accepted": one.accepted is not None,
        "ignore": None if accepted is None else accepted.model_dump(),
    }


@dataclass(frozen=True)
class DriftReport:
    """Every host of a run, in the order of the inventory.

    + at: when the run started, epoch seconds
    + pending_fails: whether pending differences are failures too
    """

    hosts: tuple[HostDrift, ...]
    at: int
    interrupted: bool = False
    pending_fails: bool = False

    @property
    def worst_first(self) -> list[HostDrift]:
        return sorted(self.hosts, key=lambda host: STATUSES.index(host.status))

    @property
    def need_attention(self) -> int:
        """How many hosts drifted or could not be read."""
        return sum(map(self.count, NEED_ATTENTION))

    def count(self, status: HostStatus) -> int:
        return sum(host.status is status for host in self.hosts)

    @property
    def exit(self) -> Exit:
        unread = self.count(HostStatus.UNREACHABLE) + self.count(HostStatus.ERROR)
        differences = [one for host in self.hosts for one in host.differences]
        failed = any(one.is_drift or (one.is_pending and self.pending_fails) for one in differences)
        applies = {
            Exit.INTERRUPTED: self.interrupted,
            Exit.USAGE: not self.hosts or any(host.bad_settings for host in self.hosts),
            Exit.UNKNOWN: unread > 0,
            Exit.FAILED: failed,
        }
        return next((code for code in Exit if applies.get(code)), Exit.OK)

    def to_json(self) -> dict[str, Any]:
        """The report in schema 2."""
        return {
            "schema": SCHEMA,
            "gpuhost": version("gpuhost"),
            "at": self.at,
            "exit": int(self.exit),
            "interrupted": self.interrupted,
            "hosts": [host.to_json() for host in self.hosts],
        }
