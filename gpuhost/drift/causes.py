"""Why a finding is not ok: the cause, by what was last applied to the host."""

from __future__ import annotations

from collections.abc import Mapping
from datetime import datetime, timezone
from fnmatch import fnmatchcase
from typing import Any

from gpuhost.checks.finding import Finding, Status
from gpuhost.checks.registry import finding_of
from gpuhost.drift.applied import proxy_changed, recorded_settings
from gpuhost.drift.difference import Cause, Difference
from gpuhost.drift.unread_paths import for_settings_of
from gpuhost.plans.proxy import engine_is_behind
from gpuhost.settings import Settings
from gpuhost.settings.types import Ignored
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import Applied

WRONG = (Status.FAIL, Status.WARN)


def explain(finding: Finding, snapshot: Snapshot, settings: Settings, *, at: int) -> Difference:
    """Find the cause of a host's finding. Raises NotRead.

    + at: when the run started, epoch seconds
    """
    return with_acceptance(finding, _cause(finding, snapshot, settings), settings, at=at)


def with_acceptance(
    finding: Finding, cause: Cause | None, settings: Settings, *, at: int
) -> Difference:
    """A finding whose cause is known, with the entry of `drift_ignore` that covers it.

    + at: when the run started, epoch seconds. A host's own clock may be wrong, so it does not
      decide whether an entry has expired
    """
    if finding.status in (Status.OK, Status.SKIP):
        return Difference(finding)
    covering = [entry for entry in settings.drift_ignore if _covers(entry, finding)]
    today = datetime.fromtimestamp(at, timezone.utc).date().isoformat()
    valid = [entry for entry in covering if today <= entry.until]
    return Difference(
        finding,
        cause if finding.status in WRONG else None,
        accepted=valid[0] if valid else None,
        expired=covering[0] if covering and not valid else None,
    )


def _covers(entry: Ignored, finding: Finding) -> bool:
    """What could not be read is accepted only by its full id: its state is unknown."""
    if finding.status is Status.UNKNOWN:
        return entry.id == finding.id
    return fnmatchcase(finding.id, entry.id)


def _cause(finding: Finding, snapshot: Snapshot, settings: Settings) -> Cause | None:
    if finding.status not in WRONG:
        return None
    values = _recorded_values(finding, snapshot.applied) if snapshot.applied else None
    if values is None:
        return Cause.NEVER_APPLIED
    recorded = recorded_settings(values, settings)
    other_proxy = proxy_changed(values, settings)
    if recorded is None or (other_proxy and _depends_on_proxy(finding, snapshot)):
        return Cause.PENDING
    # Paths that only the recorded settings have were not read: their checks are unknown, and the
    # change of the path in the repository is pending.
    reading = for_settings_of(recorded, snapshot, settings)
    by_record = finding_of(finding.id, reading, recorded)
    return Cause.DRIFT if by_record.status is finding.status else Cause.PENDING


def _recorded_values(finding: Finding, applied: Applied) -> Mapping[str, Any] | None:
    """For a failure, the settings with which it was ok or only warned; for a warning, was ok."""
    if finding.status is Status.FAIL:
        return applied.settings_unfailed(finding.id)
    return applied.settings_of(finding.id)


def _depends_on_proxy(finding: Finding, snapshot: Snapshot) -> bool:
    """It compares with the proxy's URL, or the engine has not loaded the new URL yet.

    Other checks only ask whether a proxy is set, which the record knows.
    """
    return finding.noun == "proxy" or (finding.id == "docker.live" and engine_is_behind(snapshot))
