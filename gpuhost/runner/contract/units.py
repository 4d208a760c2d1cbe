"""Names of the systemd units of an app."""

from __future__ import annotations

from pathlib import Path

UNITS = Path("/etc/systemd/system")
# One file for all apps: it takes up at boot what was cut off.
RESUME_UNIT_FILE = UNITS / "gpuhost-resume@.service"


def release_unit(app: str) -> str:
    """It runs the runner: releases, rollbacks and restores."""
    return f"gpuhost-release-{app}.service"


def resume_unit(app: str) -> str:
    return f"gpuhost-resume@{app}.service"


def backup_unit(app: str) -> str:
    """Without its ending: a service, and the timer that starts it."""
    return f"gpuhost-backup-{app}"


def logrotate_unit(app: str) -> str:
    """Without its ending, as `backup_unit`."""
    return f"gpuhost-logrotate-{app}"
