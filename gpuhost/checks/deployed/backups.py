"""Scheduled backups: made when they were due."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, unknown
from gpuhost.runner.contract import backup_unit
from gpuhost.snapshot.app_state import Backup

# The timer spreads them over 15 minutes, and a backup waits for a release that is under way.
SPREAD_S = 900
WAITS_S = 7200


@deployed_check(
    "backups",
    "Its timer runs, and the newest complete backup is not older than the schedule allows.",
    of_release=False,
)
def backups(app: DeployedApp) -> Verdict:
    schedule, state = app.details.schedule, app.state
    if schedule is None or state is None:
        return skip("no scheduled backups are declared")
    units, unit = state.backup_units, backup_unit(app.name)
    newest = _newest(state.backups)
    in_words = f"the newest is {newest.name}" if newest else "there is no backup"
    if not units.timer:
        fix = f"systemctl enable --now {unit}.timer, or {app.again}"
        return fail(schedule.every, f"{unit}.timer is not active; {in_words}", fix=fix)
    if units.running:
        return ok(f"one is being made; {in_words}", expected=schedule.every)
    fix = f"journalctl -u {unit} says why; systemctl start {unit} makes one"
    if units.failed:
        return fail(schedule.every, f"the last one failed ({units.failed}); {in_words}", fix=fix)
    if newest is None and not schedule.has_data:
        return ok("there is no data to save yet", expected=schedule.every)
    if schedule.due is None:
        return unknown(f"when it is due: {schedule.complaint}")
    # A host that was off makes the backup after its boot.
    due = max(schedule.due, app.snapshot.apps.booted or 0)
    if app.since(due) > SPREAD_S + WAITS_S + schedule.limit_s:
        moment = datetime.fromtimestamp(schedule.due, timezone.utc)
        late = f"none since the one due on {moment:%Y-%m-%d %H:%M} UTC; {in_words}"
        return fail(schedule.every, late, fix=fix)
    return ok(in_words, expected=schedule.every)


def _newest(made: tuple[Backup, ...]) -> Backup | None:
    whole = [one for one in made if one.whole and one.taken is not None]
    return max(whole, key=lambda one: one.taken or 0, default=None)
