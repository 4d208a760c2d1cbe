"""A finding with its cause: the host changed, the repository changed, or it was never applied."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gpuhost.checks.finding import Finding, Status, unknown
from gpuhost.settings.types import Ignored

# Of one host: the checks of the host and of eighty apps.
MAX_FINDINGS = 1000
TOO_MANY = "repair or remove what is listed; then the others are shown"


class Cause(str, Enum):
    """drift: the host has changed since it was provisioned; pending: the repository has changed;
    never applied: the host was never as declared.
    """

    DRIFT = "drift"
    PENDING = "pending"
    NEVER_APPLIED = "never applied"


ACCEPTED = "accepted"
# The kinds of differences, worst first.
KINDS = (
    Status.UNKNOWN.value,
    Cause.DRIFT.value,
    Cause.NEVER_APPLIED.value,
    Cause.PENDING.value,
    Status.WARN.value,
    ACCEPTED,
    Status.OK.value,
)


@dataclass(frozen=True)
class Difference:
    """A finding with its cause.

    + cause: None: it is ok, does not apply, or could not be read
    + accepted: the entry of `drift_ignore` that covers it today
    + expired: an entry that covered it in the past
    """

    finding: Finding
    cause: Cause | None = None
    accepted: Ignored | None = None
    expired: Ignored | None = None

    @property
    def kind(self) -> str:
        """One of KINDS; what does not apply is ok."""
        if self.finding.status in (Status.OK, Status.SKIP):
            return Status.OK.value
        if self.accepted:
            return ACCEPTED
        if self.finding.status is Status.UNKNOWN:
            return Status.UNKNOWN.value
        if self.finding.status is Status.WARN:
            return Status.WARN.value
        return (self.cause or Cause.NEVER_APPLIED).value

    @property
    def is_unread(self) -> bool:
        """It could not be read, and that is not accepted."""
        return self.finding.status is Status.UNKNOWN and self.accepted is None

    @property
    def is_failure(self) -> bool:
        """It fails, and that is not accepted."""
        return self.finding.status is Status.FAIL and self.accepted is None

    @property
    def is_drift(self) -> bool:
        return self.is_failure and self.cause is Cause.DRIFT

    @property
    def is_pending(self) -> bool:
        """The next deploy repairs it."""
        return self.is_failure and self.cause in (Cause.PENDING, Cause.NEVER_APPLIED)


def bounded(differences: Sequence[Difference]) -> list[Difference]:
    """At most MAX_FINDINGS, the worst ones, and one that says how many others there are."""
    if len(differences) <= MAX_FINDINGS:
        return list(differences)
    worst = sorted(differences, key=lambda one: KINDS.index(one.kind))
    kept, left_out = worst[:MAX_FINDINGS], worst[MAX_FINDINGS:]
    counts = Counter(one.kind for one in left_out)
    more = f"and {len(left_out)} more: {', '.join(f'{counts[kind]} {kind}' for kind in counts)}"
    return [*kept, Difference(Finding(**vars(unknown(more, fix=TOO_MANY)), id="host.findings"))]
