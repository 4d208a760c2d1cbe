"""What a drift run tells: host by host, finding by finding, and one number for cron."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from enum import Enum
from importlib.metadata import version
from typing import Any

from gpuhost.checks.finding import Status
from gpuhost.domain.exit_status import (
    Exit,
)
from gpuhost.drift.difference import Difference

SCHEMA = 1


class Standing(str, Enum):
    """How a host stands, the worst first.

    error: not wholly read; drift: something is not as it was applied; pending: the next run of a
    deploy changes it; ok: as applied and as declared.
    """

    UNREACHABLE = "unreachable"
    ERROR = "error"
    DRIFT = "drift"
    PENDING = "pending"
    OK = "ok"


@dataclass(frozen=True)
class HostDrift:
    """One host.

    + applied_at, applied_by: when, in epoch seconds, and by whom it was provisioned last
    + reason: one line, why it is unreachable or an error
    + fix: what a person does about that
    + bad_settings: the reason is a mistake in its settings, so nothing was asked of the host
    + disks: bytes free, by where the file system is mounted
    """

    host: str
    standing: Standing
    differences: tuple[Difference, ...] = ()
    applied_at: int | None = None
    applied_by: str = ""
    reason: str = ""
    fix: str = ""
    bad_settings: bool = False
    disks: Mapping[str, int] = field(default_factory=dict)

    @classmethod
    def judged(
        cls,
        host: str,
        differences: Sequence[Difference],
        *,
        applied_at: int | None = None,
        applied_by: str = "",
        disks: Mapping[str, int] | None = None,
    ) -> HostDrift:
        """A host that was read. With something unknown it is an error, whatever else is wrong,
        unless somebody has accepted just that."""
        unread = [one.finding.id for one in differences if one.unread]
        reason = f"could not be read: {', '.join(unread)}" if unread else ""
        return cls(
            host,
            _standing(differences),
            tuple(differences),
            applied_at,
            applied_by,
            reason,
            disks=disks or {},
        )

    @property
    def told(self) -> list[Difference]:
        """What a person reads, the worst first: what is wrong, accepted or not read."""
        wrong = [one for one in self.differences if one.finding.status in _WORST]
        return sorted(wrong, key=_order)

    def to_json(self) -> dict[str, Any]:
        """The host as schema 1 has it."""
        applied = {"at": self.applied_at, "by": self.applied_by}
        return {
            "host": self.host,
            "standing": self.standing.value,
            "reason": f"{self.reason}; {self.fix}" if self.fix else self.reason,
            "applied": None if self.applied_at is None else applied,
            "findings": [_to_json(one) for one in self.differences],
        }


_WORST = (Status.FAIL, Status.UNKNOWN, Status.WARN)


def _order(one: Difference) -> tuple[bool, int, bool, str]:
    return (
        one.accepted is not None,
        _WORST.index(one.finding.status),
        not one.drifted,
        one.finding.id,
    )


def _standing(differences: Sequence[Difference]) -> Standing:
    if any(one.unread for one in differences):
        return Standing.ERROR
    if any(one.drifted for one in differences):
        return Standing.DRIFT
    if any(one.awaits for one in differences):
        return Standing.PENDING
    return Standing.OK


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

    + at: when the run began, epoch seconds
    + pending_fails: whether what only awaits a deploy is a failure too
    """

    hosts: tuple[HostDrift, ...]
    at: int
    interrupted: bool = False
    pending_fails: bool = False

    def count(self, standing: Standing) -> int:
        return sum(host.standing is standing for host in self.hosts)

    @property
    def exit(self) -> Exit:
        unread = self.count(Standing.UNREACHABLE) + self.count(Standing.ERROR)
        differences = [one for host in self.hosts for one in host.differences]
        failed = any(one.drifted or (one.awaits and self.pending_fails) for one in differences)
        applies = {
            Exit.INTERRUPTED: self.interrupted,
            Exit.USAGE: not self.hosts or any(host.bad_settings for host in self.hosts),
            Exit.UNKNOWN: unread > 0,
            Exit.FAILED: failed,
        }
        return next((status for status, is_so in applies.items() if is_so), Exit.OK)

    def to_json(self) -> dict[str, Any]:
        """The report as schema 1 has it."""
        return {
            "schema": SCHEMA,
            "gpuhost": version("gpuhost"),
            "at": self.at,
            "exit": int(self.exit),
            "interrupted": self.interrupted,
            "hosts": [host.to_json() for host in self.hosts],
        }
