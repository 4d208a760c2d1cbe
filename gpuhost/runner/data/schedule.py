"""Installs the timers of an app: scheduled backups, log rotation."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.contract import UNITS, backup_unit, logrotate_unit
from gpuhost.runner.data import rotation
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.release import Release

QUICK = 60
# A backup waits for a release in progress.
SPARE = 7200
IN_BACKGROUND = "Nice=10\nIOSchedulingClass=idle\nMemoryMax=50%"
# Files of an older gpuhost, which used logrotate.
OF_LOGROTATE = ("conf", "group", "passwd", "state")

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

    def paths(self) -> dict[Path, str]:
        return {UNITS / f"{self.unit}.{ending}": text for ending, text in self.files.items()}


def check(release: Release) -> None:
    """Raises Failure if systemd does not accept the time of backups."""
    every = release.plan.backup.every if release.plan.backup else ""
    if not every:
        return
    outcome = try_run(release.log, "systemd-analyze", "calendar", "--", every, seconds=QUICK)
    if not outcome.ok or "\n" in every:
        raise Failure(
            f"backup.every: {every!r} is not a time that systemd accepts",
            output=outcome.tail,
            fix='use "daily", "*-*-* 03:30" or "Mon 04:00": see man systemd.time',
        )


def install(release: Release) -> None:
    """Write the units that this release declares, and remove others of the app.

    Raises Failure.
    """
    _install(release.log, _backup_job(release))
    patterns = tuple(rotation.usable(release.plan.logs))
    for pattern in set(release.plan.logs.files) - set(patterns):
        release.log.write(
            f"warning: {pattern}: not rotated: a directory with a wildcard; name each directory"
        )
    _install_rotation(release, is_wanted=bool(patterns))


def remove(release: Release) -> None:
    """Remove all timers of the app; backups are kept."""
    _install(release.log, Job(backup_unit(release.plan.app), {}))
    _install_rotation(release, is_wanted=False)


def unit_files(app: str) -> Iterator[Path]:
    """All possible unit files of an app; they may not exist."""
    for unit in (backup_unit(app), logrotate_unit(app)):
        for ending in ("service", "timer"):
            yield UNITS / f"{unit}.{ending}"


def _install_rotation(release: Release, *, is_wanted: bool) -> None:
    log, job, state = release.log, _rotation_job(release, is_wanted), rotation.state_of(release.app)
    if not is_wanted:
        _install(log, job)
        shutil.rmtree(state.parent, ignore_errors=True)
        return
    if not _install(log, job) and state.exists():
        return
    # The first run shows whether it works.
    if not try_run(log, "systemctl", "start", f"{job.unit}.service", seconds=600).ok:
        # So that the next release tries it again.
        state.unlink(missing_ok=True)
        raise Failure(
            "log files are not rotated", fix=f"run journalctl -u {job.unit}: it shows the reason"
        )
    for name in OF_LOGROTATE:
        (state.parent / name).unlink(missing_ok=True)


def _install(log: Log, job: Job) -> bool:
    """Whether a file was changed."""
    units = job.paths()
    timer = f"{job.unit}.timer"
    stale = [
        path
        for ending in ("service", "timer")
        if (path := UNITS / f"{job.unit}.{ending}").exists() and path not in units
    ]
    if stale:
        disable = ("systemctl", "disable", "--now", "--no-reload", "--quiet", timer)
        try_run(log, *disable, seconds=QUICK)
        for path in stale:
            path.unlink()
    changed = [path for path, text in units.items() if not _has_text(path, text)]
    # On some hosts a reload takes the cards from running containers (cards_inside.py), and systemd
    # finds new files without it.
    is_loaded = any(path.exists() for path in changed)
    for path in changed:
        write(path, units[path])
    if stale or is_loaded:
        _reload(log)
    if units and (changed or not _is_active(log, timer)):
        # Without --root, systemd asks for a reload of every unit until there is one.
        enable = ("systemctl", "enable", "--root=/", "--quiet", timer)
        run(log, *enable, seconds=QUICK, what=f"enabling {timer}")
        _start(log, timer)
        log.write(f"{timer}: enabled")
    return bool(stale or changed)


def _reload(log: Log) -> None:
    run(log, "systemctl", "daemon-reload", seconds=QUICK, what="systemctl daemon-reload")


def _start(log: Log, timer: str) -> None:
    restart = ("systemctl", "restart", timer)
    if not try_run(log, *restart, seconds=QUICK).ok:
        # Before systemd 246 it does not look for new files.
        _reload(log)
        run(log, *restart, seconds=QUICK, what=f"starting {timer}")


def _is_active(log: Log, timer: str) -> bool:
    return all(
        try_run(log, "systemctl", verb, "--quiet", timer, seconds=QUICK).ok
        for verb in ("is-enabled", "is-active")
    )


def _backup_job(release: Release) -> Job:
    plan, unit = release.plan, backup_unit(release.plan.app)
    if plan.backup is None or not plan.backup.every:
        return Job(unit, {})
    what = f"Backup of {plan.app}"
    service = SERVICE.format(
        app=plan.app,
        what=what,
        condition="After=docker.service\n",
        command=_runner_command(release, "backup"),
        limit=plan.backup.limit_s + SPARE,
        more=IN_BACKGROUND,
    )
    timer = TIMER.format(app=plan.app, what=what, when=plan.backup.every, spread="15min")
    return Job(unit, {"service": service, "timer": timer})


def _rotation_job(release: Release, is_wanted: bool) -> Job:
    """Hourly: with a daily timer a file would grow far beyond its maximum size."""
    app, unit = release.plan.app, logrotate_unit(release.plan.app)
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


def _has_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
