"""Scheduled backups are made when they are due."""

from __future__ import annotations

from gpuhost.checks.deployed import deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip, unknown, warn
from gpuhost.domain.moment import utc
from gpuhost.runner.contract import CLOCK_S, backup_unit
from gpuhost.snapshot.app_state import Backup

# The timer adds up to 15 minutes.
SPREAD_S = 900


@deployed_check(
    "backups",
    "Its timer runs, and the newest complete backup is neither older than the schedule allows nor "
    "from the future.",
    of_release=False,
)
def backups(app: DeployedApp) -> Verdict:
    schedule, state = app.details.schedule, app.state
    complete = _oldest_first(state.backups if state else ())
    if schedule is None or state is None:
        nothing = "no scheduled backups are declared"
        return _future(app, complete, nothing, "") or skip(nothing)
    units, unit = state.backup_units, backup_unit(app.name)
    newest = complete[-1] if complete else None
    newest_text = f"the newest is {newest.name}" if newest else "no backup exists"
    if not units.timer:
        fix = f"systemctl enable --now {unit}.timer, or {app.release_command}"
        return fail(schedule.every, f"{unit}.timer is not active; {newest_text}", fix=fix)
    if units.running:
        return ok(f"a backup is running; {newest_text}", expected=schedule.every)
    fix = f"journalctl -u {unit} says why; systemctl start {unit} makes a backup"
    if units.failed:
        return fail(
            schedule.every, f"the last backup failed ({units.failed}); {newest_text}", fix=fix
        )
    if newest is None and not schedule.has_data:
        return ok("no data to back up yet", expected=schedule.every)
    if reason := _clock_changed(app, complete):
        fix = f"correct the clock (timedatectl), then make a backup: systemctl start {unit}"
        return unknown(f"{reason}: the age of the newest backup cannot be judged", fix=fix)
    if schedule.due is None:
        return unknown(f"the due time is unknown: {schedule.complaint}")
    # A host that was off makes the backup after its boot.
    due = max(schedule.due, app.snapshot.apps.booted or 0)
    # It waits for a release that is under way as long as it may take itself.
    if app.since(due) > SPREAD_S + 2 * schedule.limit_s:
        moment = utc(schedule.due)
        actual = f"no backup since the one due on {moment:%Y-%m-%d %H:%M} UTC; {newest_text}"
        return fail(schedule.every, actual, fix=fix)
    future = _future(app, complete, schedule.every, f"; {newest_text}")
    return future or ok(newest_text, expected=schedule.every)


def _future(
    app: DeployedApp, complete: list[Backup], expected: str, newest_text: str
) -> Verdict | None:
    names = [backup.name for backup in complete if _is_from_the_future(app, backup)]
    if not names:
        return None
    actual = f"backups from the future: {', '.join(names)}: the clock was ahead{newest_text}"
    fix = "check the clock (timedatectl); nothing is lost: the order of backups is by number"
    return warn(expected, actual, fix=fix)


def _oldest_first(backups: tuple[Backup, ...]) -> list[Backup]:
    complete = [backup for backup in backups if backup.complete and backup.taken is not None]
    return complete[::-1]


def _clock_changed(app: DeployedApp, complete: list[Backup]) -> str:
    """Why the time of the newest backup says nothing; "": it is good."""
    if not complete:
        return ""
    *older, newest = complete
    if _is_from_the_future(app, newest):
        return f"backups from the future: {newest.name}: the clock was ahead, or is behind now"
    past = [backup.taken or 0 for backup in older if not _is_from_the_future(app, backup)]
    if (newest.taken or 0) + CLOCK_S < max(past, default=0):
        return f"{newest.name} is the newest, but has an earlier time than another: a clock changed"
    return ""


def _is_from_the_future(app: DeployedApp, backup: Backup) -> bool:
    return app.since(backup.taken) < -CLOCK_S
