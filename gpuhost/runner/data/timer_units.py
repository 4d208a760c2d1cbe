"""The units of an app's timers, as texts."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.runner.contract import backup_unit, rotation_unit
from gpuhost.runner.state.release import Release

# For what a backup does before and after its limit.
SPARE_S = 3600
IN_BACKGROUND = "Nice=10\nIOSchedulingClass=idle\nMemoryMax=50%"

SERVICE = """\
# Written by the releases of {app}.
[Unit]
Description={what}
{condition}
[Service]
Type=oneshot
ExecStart={command}
TimeoutStartSec={limit}
{more}
"""
TIMER = """\
# Written by the releases of {app}.
[Unit]
Description={what}

[Timer]
OnCalendar={when}
RandomizedDelaySec={spread}
Persistent=true

[Install]
WantedBy=timers.target
"""


@dataclass(frozen=True)
class Job:
    """A service and its timer."""

    unit: str
    files: dict[str, str]  # suffix -> text; empty: the app has no such job


def backup_job(release: Release) -> Job:
    plan, unit = release.plan, backup_unit(release.plan.app)
    if plan.backup is None or not plan.backup.every:
        return Job(unit, {})
    what = f"Backup of {plan.app}"
    service = SERVICE.format(
        app=plan.app,
        what=what,
        condition="After=docker.service\n",
        command=_runner_command(release, "backup"),
        # It waits for a release in progress as long as a backup may take.
        limit=2 * plan.backup.limit_s + SPARE_S,
        more=IN_BACKGROUND,
    )
    timer = TIMER.format(app=plan.app, what=what, when=plan.backup.every, spread="15min")
    return Job(unit, {"service": service, "timer": timer})


def rotation_job(release: Release, is_wanted: bool) -> Job:
    """Hourly: with a daily timer a file would grow far beyond its maximum size."""
    app, unit = release.plan.app, rotation_unit(release.plan.app)
    if not is_wanted:
        return Job(unit, {})
    what = f"Log files of {app}"
    service = SERVICE.format(
        app=app,
        what=what,
        condition="",
        command=_runner_command(release, "rotate"),
        limit=600,
        more=IN_BACKGROUND,
    )
    timer = TIMER.format(app=app, what=what, when="hourly", spread="10min")
    return Job(unit, {"service": service, "timer": timer})


def _runner_command(release: Release, verb: str) -> str:
    """With the link, which each release updates: old runners are deleted."""
    home = release.app.home
    return f"/usr/bin/python3 -I {home / 'runner.pyz'} {verb} {home}"
