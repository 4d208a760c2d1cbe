"""The result of `gpuhost check`: host by host, and as one exit status."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from gpuhost.checks.finding import Finding, Status
from gpuhost.domain.exit_status import Exit
from gpuhost.fleet.host_status import HostStatus

SCHEMA = 1
# The statuses of a host after a check, in the order of the JSON's summary.
STATUSES = (HostStatus.OK, HostStatus.FAIL, HostStatus.UNREACHABLE, HostStatus.ERROR)


@dataclass(frozen=True)
class HostReport:
    """One host.

    + reason: one line, why it is unreachable or an error
    + fix: what to do about it
    + bad_settings: its settings are invalid, so it was not contacted
    """

    host: str
    status: HostStatus
    findings: tuple[Finding, ...] = ()
    reason: str = ""
    fix: str = ""
    bad_settings: bool = False

    @classmethod
    def of(cls, host: str, findings: Sequence[Finding]) -> HostReport:
        """A host that was read. With something unknown it is not ok, even if nothing fails."""
        unknown = [finding.id for finding in findings if finding.status is Status.UNKNOWN]
        if any(finding.status is Status.FAIL for finding in findings):
            return cls(host, HostStatus.FAIL, tuple(findings))
        if unknown:
            reason = f"could not be read: {', '.join(unknown)}"
            return cls(host, HostStatus.ERROR, tuple(findings), reason)
        return cls(host, HostStatus.OK, tuple(findings))

    def to_json(self) -> dict[str, Any]:
        """The host in schema 1."""
        document: dict[str, Any] = {"host": self.host, "status": self.status.value}
        if self.reason:
            document["reason"] = f"{self.reason}; {self.fix}" if self.fix else self.reason
        return document | {"findings": [finding.to_json() for finding in self.findings]}


@dataclass(frozen=True)
class FleetReport:
    """Every host of a check, in the order of the inventory."""

    hosts: tuple[HostReport, ...]
    interrupted: bool = False

    def count(self, status: HostStatus) -> int:
        return sum(host.status is status for host in self.hosts)

    @property
    def exit(self) -> Exit:
        statuses = {finding.status for host in self.hosts for finding in host.findings}
        unread = self.count(HostStatus.UNREACHABLE) + self.count(HostStatus.ERROR)
        applies = {
            Exit.INTERRUPTED: self.interrupted,
            Exit.USAGE: not self.hosts or any(host.bad_settings for host in self.hosts),
            Exit.UNKNOWN: bool(unread) or Status.UNKNOWN in statuses,
            Exit.FAILED: Status.FAIL in statuses,
        }
        return next((code for code in Exit if applies.get(code)), Exit.OK)

    def to_json(self) -> dict[str, Any]:
        """Schema 1: the hosts with their findings, and the counts."""
        statuses = [finding.status for host in self.hosts for finding in host.findings]
        return {
            "schema": SCHEMA,
            "hosts": [host.to_json() for host in self.hosts],
            "summary": {
                "hosts": len(self.hosts),
                **{status.value: self.count(status) for status in STATUSES},
                "findings": {status.value: statuses.count(status) for status in Status},
            },
        }
