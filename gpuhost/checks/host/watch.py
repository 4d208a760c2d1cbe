"""Files that decide who gets in and what runs as root, since the last deploy."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.moment import utc
from gpuhost.plans.watched import (
    VENDOR,
    changed_accounts,
    changed_files,
    recorded,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

NOT_RECORDED = "no deploy has recorded them yet"
ACCEPT = "undo it if nobody of yours made the change; the next deploy records it as it is"


@check(
    "watch.files",
    "Since the last deploy, no file of sshd, sudo, cron, units and `drift_watch`, no account that "
    "is root or can become it, and none of their keys has changed.",
)
def watched(snapshot: Snapshot, settings: Settings) -> Verdict:
    if recorded(snapshot) is None:
        return skip(NOT_RECORDED)
    changes = [*changed_files(snapshot, settings, of_engine=False), *changed_accounts(snapshot)]
    expected = _expected(snapshot)
    if changes:
        return warn(expected, "; ".join(changes), fix=ACCEPT)
    return ok(f"{len(snapshot.watched.files)} files as recorded", expected=expected)


@check(
    "watch.engine_units",
    "Since the last deploy, no unit file or drop-in of docker and containerd has changed.",
)
def engine_units(snapshot: Snapshot, settings: Settings) -> Verdict:
    if recorded(snapshot) is None:
        return skip(NOT_RECORDED)
    changes = changed_files(snapshot, settings, of_engine=True)
    expected = _expected(snapshot)
    if not changes:
        return ok("as recorded", expected=expected)
    if all(change.startswith(VENDOR) for change in changes):
        fix = "an upgrade of the package changes it too; the next deploy records it as it is"
        return warn(expected, "; ".join(changes), fix=fix)
    fix = f"systemctl cat docker containerd shows what is in force; {ACCEPT}"
    return fail(expected, "; ".join(changes), fix=fix)


def _expected(snapshot: Snapshot) -> str:
    at = snapshot.applied.at if snapshot.applied else 0
    return f"as on {utc(at):%Y-%m-%d}"
