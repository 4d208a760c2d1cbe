"""The systemd units that gpuhost needs."""

from __future__ import annotations

from gpuhost.snapshot import Snapshot

# What containers and this host's settings depend on.
OURS = (
    *("gpuhost-", "docker.", "containerd.", "ufw.", "nginx."),
    *("nvidia-persistenced.", "nvidia-fabricmanager.", "nvidia-cdi-refresh."),
)
# The checks of an app judge the results of these.
OF_APPS = ("gpuhost-backup-", "gpuhost-release-")


def broken_units(snapshot: Snapshot) -> tuple[str, ...]:
    """Units that gpuhost needs and that failed, or were stopped under a running engine."""
    return tuple(
        name
        for name in (*snapshot.units.failed, *snapshot.units.stopped)
        if name.startswith(OURS) and not name.startswith(OF_APPS)
    )
