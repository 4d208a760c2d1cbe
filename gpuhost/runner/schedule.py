"""What goes on between releases: backups by the clock, log files rotated."""

from __future__ import annotations

import sys
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner import logrotate
from gpuhost.runner.commands import attempt, run
from gpuhost.runner.failure import Failure
from gpuhost.runner.files import write
from gpuhost.runner.log import Log
from gpuhost.runner.release import Release

UNITS = Path("/etc/systemd/system")
LOGROTATE = Path("/etc/logrotate.d")
QUICK = 60
# A backup waits for a release that is under way.
SPARE = 7200

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
    """A service and the timer that starts it."""

    unit: str
    files: dict[str, str]  # ending -> text; none: there is no such job

    def paths(self) -> dict[Path, str]:
        return {UNITS / f"{self.unit}.{ending}": text for ending, text in self.files.items()}


def check(release: Release) -> None:
    """Raises Failure if systemd does not know such a time."""
    every = release.plan.backup.every if release.plan.backup else ""
    if not every:
        return
    found = attempt(release.log, "systemd-analyze", "calendar", "--", every, seconds=QUICK)
    if not found.ok or "\n" in every:
        raise Failure(
            f"backup.every: {every!r} is no time that systemd knows",
            output=found.tail,
            fix='"daily", "*-*-* 03:30", "Mon 04:00": see man systemd.time',
        )


def install(release: Release) -> None:
    """As this release declares it; what is so already is not touched, what is not, removed.

    Raises Failure.
    """
    rotated = logrotate.text(release)
    _install_rotation(release, rotated)
    for job in (_backup(release), _rotation(release, rotated)):
        _install(release.log, job)


def remove(release: Release) -> None:
    """Nothing of it is left on the host; backups stay."""
    (LOGROTATE / f"gpuhost-{release.plan.app}").unlink(missing_ok=True)
    for name in ("backup", "logrotate"):
        _install(release.log, Job(f"gpuhost-{name}-{release.plan.app}", {}))


def _install_rotation(release: Release, text: str) -> None:
    target = LOGROTATE / f"gpuhost-{release.plan.app}"
    if not text:
        target.unlink(missing_ok=True)
        return
    if _is(target, text):
        return
    if not LOGROTATE.is_dir():
        raise Failure("log files are not rotated: logrotate is not installed", fix="install it")
    write(target, text)
    # It only tells what it would do; a mistake in the file is its exit status.
    found = attempt(release.log, logrotate.PROGRAM, "-d", str(target), seconds=QUICK)
    if not found.ok:
        target.unlink()
        raise Failure("log files are not rotated: logrotate refuses it", output=found.tail)


def _install(log: Log, job: Job) -> None:
    wanted = job.paths()
    timer = f"{job.unit}.timer"
    stale = [
        path
        for ending in ("service", "timer")
        if (path := UNITS / f"{job.unit}.{ending}").exists() and path not in wanted
    ]
    if stale:
        attempt(log, "systemctl", "disable", "--now", "--quiet", timer, seconds=QUICK)
        for path in stale:
            path.unlink()
    changed = [path for path, text in wanted.items() if not _is(path, text)]
    for path in changed:
        write(path, wanted[path])
    if stale or changed:
        run(log, "systemctl", "daemon-reload", seconds=QUICK, what="systemctl daemon-reload")
    if wanted and (changed or not _runs(log, timer)):
        run(log, "systemctl", "enable", "--quiet", timer, seconds=QUICK, what=f"enabling {timer}")
        run(log, "systemctl", "restart", timer, seconds=QUICK, what=f"starting {timer}")
        log.write(f"{timer}: enabled")


def _runs(log: Log, timer: str) -> bool:
    return all(
        attempt(log, "systemctl", question, "--quiet", timer, seconds=QUICK).ok
        for question in ("is-enabled", "is-active")
    )


def _backup(release: Release) -> Job:
    plan, unit = release.plan, f"gpuhost-backup-{release.plan.app}"
    if plan.backup is None or not plan.backup.every:
        return Job(unit, {})
    what = f"Backup of {plan.app}"
    runner = Path(sys.argv[0]).resolve()
    service = SERVICE.format(
        app=plan.app,
        what=what,
        condition="After=docker.service\n",
        command=f"/usr/bin/python3 {runner} backup {release.app.home}",
        limit=plan.backup.limit_s + SPARE,
        more="Nice=10\nIOSchedulingClass=idle",
    )
    timer = TIMER.format(app=plan.app, what=what, when=plan.backup.every, spread="15min")
    return Job(unit, {"service": service, "timer": timer})


def _rotation(release: Release, rotated: str) -> Job:
    """logrotate's own timer is a daily one: a file that grows fast would pass its largest size."""
    app, unit = release.plan.app, f"gpuhost-logrotate-{release.plan.app}"
    if not rotated:
        return Job(unit, {})
    what = f"Log files of {app}"
    service = SERVICE.format(
        app=app,
        what=what,
        condition="",
        command=f"{logrotate.PROGRAM} {LOGROTATE}/gpuhost-{app}",
        limit=600,
        # 3: logrotate's own timer is at it at this moment.
        more="SuccessExitStatus=3",
    )
    timer = TIMER.format(app=app, what=what, when="*:17", spread="1min")
    return Job(unit, {"service": service, "timer": timer})


def _is(path: Path, text: str) -> bool:
    return path.is_file() and path.read_text(encoding="utf-8") == text
