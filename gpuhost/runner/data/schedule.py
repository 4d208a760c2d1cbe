"""Installs the timers of an app: scheduled backups, log rotation."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from gpuhost.runner.contract import UNITS, backup_unit, old_rotation_unit, rotation_unit
from gpuhost.runner.data import rotation
from gpuhost.runner.data.timer_units import Job, backup_job, rotation_job
from gpuhost.runner.lib.commands import run, try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, write
from gpuhost.runner.lib.log import Log
from gpuhost.runner.state.release import Release

QUICK = 60


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
    _install(release.log, backup_job(release))
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
    for unit in (backup_unit(app), rotation_unit(app), old_rotation_unit(app)):
        for ending in ("service", "timer"):
            yield UNITS / f"{unit}.{ending}"


def _install_rotation(release: Release, *, is_wanted: bool) -> None:
    log, job, state = release.log, rotation_job(release, is_wanted), rotation.state_of(release.app)
    _install(log, Job(old_rotation_unit(release.plan.app), {}))
    if not is_wanted:
        _install(log, job)
        clear(state)
        clear(rotation.old_directory(release.app))
        return
    if not _install(log, job) and state.exists():
        return
    # The first run shows whether it works.
    if not try_run(log, "systemctl", "start", f"{job.unit}.service", seconds=600).ok:
        # So that the next release tries it again.
        clear(state)
        raise Failure(
            "log files are not rotated", fix=f"run journalctl -u {job.unit}: it shows the reason"
        )
    clear(rotation.old_directory(release.app))


def _install(log: Log, job: Job) -> bool:
    """Whether a file was changed."""
    units = {UNITS / f"{job.unit}.{ending}": text for ending, text in job.files.items()}
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


def _has_text(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
