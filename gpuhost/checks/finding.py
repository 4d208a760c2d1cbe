"""The result of a check: a verdict; with the id of the check, a finding."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class Status(str, Enum):
    """skip: does not apply; unknown: could not be read."""

    OK = "ok"
    WARN = "warn"
    FAIL = "fail"
    SKIP = "skip"
    UNKNOWN = "unknown"


WORST_FIRST = (Status.FAIL, Status.UNKNOWN, Status.WARN, Status.OK, Status.SKIP)


@dataclass(frozen=True)
class Verdict:
    """fix is what a person runs or sets; for skip and unknown, actual is the reason.

    + later: a skip for now: the earlier result of this check stays valid
    """

    status: Status
    expected: str = ""
    actual: str = ""
    evidence: str = ""
    fix: str = ""
    later: bool = False

    @property
    def needs_attention(self) -> bool:
        return self.status not in (Status.OK, Status.SKIP)


@dataclass(frozen=True)
class Finding(Verdict):
    id: str = ""

    @property
    def noun(self) -> str:
        return self.id.partition(".")[0]

    def to_json(self) -> dict[str, str]:
        """The finding in the format of schema 1."""
        return {
            "id": self.id,
            "status": self.status.value,
            "expected": self.expected,
            "actual": self.actual,
            "evidence": self.evidence,
            "fix": self.fix,
        }


def ok(actual: str, *, expected: str = "", evidence: str = "") -> Verdict:
    return Verdict(Status.OK, expected or actual, actual, evidence)


def warn(expected: str, actual: str, *, fix: str, evidence: str = "") -> Verdict:
    return Verdict(Status.WARN, expected, actual, evidence, fix)


def fail(expected: str, actual: str, *, fix: str, evidence: str = "") -> Verdict:
    return Verdict(Status.FAIL, expected, actual, evidence, fix)


def skip(reason: str) -> Verdict:
    return Verdict(Status.SKIP, actual=reason)


def later(reason: str) -> Verdict:
    """A skip for now: the reason is temporary, or another finding reports it."""
    return Verdict(Status.SKIP, actual=reason, later=True)


def unknown(reason: str, *, fix: str = "") -> Verdict:
    return Verdict(Status.UNKNOWN, actual=reason, fix=fix)
