"""Names of the systemd units of an app."""

from __future__ import annotations

from pathlib import Path

UNITS = Path("/etc/systemd/system")
# One file for all apps: at boot it resumes an interrupted operation.
RESUME_UNIT_FILE = UNITS / "gpuhost-resume@.service"


def release_unit(app: str) -> str:
    """It starts the runner for a release, a rollback or a restore."""
    return f"gpuhost-release-{app}.service"


def resume_unit(app: str) -> str:
    return f"gpuhost-resume@{app}.service"


def backup_unit(app: str) -> str:
    """Without suffix: a service, and its timer."""
    return f"gpuhost-backup-{app}"


def rotation_unit(app: str) -> str:
    """Of log files. Without suffix: a service, and its timer."""
    return f"gpuhost-rotate-{app}"


def old_rotation_unit(app: str) -> str:
    """Its name on hosts of an older gpuhost, which used logrotate."""
    return f"gpuhost-logrotate-{app}"
