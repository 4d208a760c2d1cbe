"""Why a finding is not as wanted: the host changed, the repository did, or nobody applied it."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime, timezone
from enum import Enum
from fnmatch import fnmatchcase
from typing import Any

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import finding_of
from gpuhost.drift.applied import is_other_proxy, settings_then
from gpuhost.drift.unread_paths import for_settings_of
from gpuhost.plans.proxy import engine_is_behind
from gpuhost.settings import Settings
from gpuhost.settings.types import Ignored
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import Applied

# What a person has to do something about, or to know.
WRONG = (Status.FAIL, Status.WARN)


class Cause(str, Enum):
    """drift: the host is not as it was applied; pending: the repository has changed since; new:
    it was never applied.
    """

    DRIFT = "drift"
    PENDING = "pending"
    NEW = "new"


@dataclass(frozen=True)
class Difference:
    """A finding, and why it is so.

    + cause: None: nothing is wrong, or it could not be read
    + accepted: the `drift_ignore` that covers it today
    + expired: one that did until lately
    """

    finding: Finding
    cause: Cause | None = None
    accepted: Ignored | None = None
    expired: Ignored | None = None

    @property
    def kind(self) -> str:
        """One word: ok (or does not apply), unknown, accepted, warn, or the cause."""
        if self.finding.status in (Status.OK, Status.SKIP):
            return Status.OK.value
        if self.accepted:
            return "accepted"
        if self.finding.status is Status.UNKNOWN:
            return Status.UNKNOWN.value
        if self.finding.status is Status.WARN:
            return Status.WARN.value
        return (self.cause or Cause.NEW).value

    @property
    def unread(self) -> bool:
        """It could not be read, and nobody has accepted that."""
        return self.finding.status is Status.UNKNOWN and self.accepted is None

    @property
    def counts(self) -> bool:
        """Whether it is more than a warning, and nobody has accepted it."""
        return self.finding.status is Status.FAIL and self.accepted is None

    @property
    def drifted(self) -> bool:
        return self.counts and self.cause is Cause.DRIFT

    @property
    def awaits(self) -> bool:
        """The next run of the deploy brings it."""
        return self.counts and self.cause in (Cause.PENDING, Cause.NEW)


def difference(finding: Finding, snapshot: Snapshot, settings: Settings, *, at: int) -> Difference:
    """A finding of a host's check, with its cause. Raises NotRead.

    + at: as `judged` has it
    """
    return judged(finding, _cause(finding, snapshot, settings), settings, at=at)


def judged(finding: Finding, cause: Cause | None, settings: Settings, *, at: int) -> Difference:
    """A finding with a cause that is known, and whether somebody has accepted it.

    + at: when the run began, epoch seconds: by a host's own clock, which may be wrong, nothing that
      is accepted expires
    """
    if finding.status in (Status.OK, Status.SKIP):
        return Difference(finding)
    covering = [one for one in settings.drift_ignore if _covers(one, finding)]
    today = datetime.fromtimestamp(at, timezone.utc).date().isoformat()
    valid = [one for one in covering if today <= one.until]
    return Difference(
        finding,
        cause if finding.status in WRONG else None,
        accepted=valid[0] if valid else None,
        expired=covering[0] if covering and not valid else None,
    )


def _covers(one: Ignored, finding: Finding) -> bool:
    """What could not be read may be anything: only who names it whole accepts that."""
    if finding.status is Status.UNKNOWN:
        return one.id == finding.id
    return fnmatchcase(finding.id, one.id)


def _cause(finding: Finding, snapshot: Snapshot, settings: Settings) -> Cause | None:
    if finding.status not in WRONG:
        return None
    values = _settings_then(finding, snapshot.applied) if snapshot.applied else None
    if values is None:
        return Cause.NEW
    then = settings_then(values, settings)
    if then is None or (is_other_proxy(values, settings) and _is_by_proxy(finding, snapshot)):
        return Cause.PENDING
    # What then's settings look at and today's do not is unknown now: the repository has moved it.
    found = finding_of(finding.id, for_settings_of(then, snapshot, settings), then)
    return Cause.DRIFT if found.status is finding.status else Cause.PENDING


def _settings_then(finding: Finding, applied: Applied) -> Mapping[str, Any] | None:
    """A failure is measured by what only warned at the deploy too; a warning by what was ok."""
    if finding.status is Status.FAIL:
        return applied.settings_unfailed(finding.id)
    return applied.settings_of(finding.id)


def _is_by_proxy(finding: Finding, snapshot: Snapshot) -> bool:
    """What compares with the proxy's URL; or the engine has yet to take up a new one.

    Others only ask whether there is one, which the record knows.
    """
    return finding.noun == "proxy" or (finding.id == "docker.live" and engine_is_behind(snapshot))
