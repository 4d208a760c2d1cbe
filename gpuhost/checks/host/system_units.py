"""What systemd could not start or run: also of services that nobody declared."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# What containers and this host's settings stand on.
OURS = (
    *("gpuhost-", "docker.", "containerd.", "ufw.", "nginx."),
    *("nvidia-persistenced.", "nvidia-fabricmanager.", "nvidia-cdi-refresh."),
)
# The checks of an app judge these by what became of them.
OF_APPS = ("gpuhost-backup-", "gpuhost-release-")


def broken(snapshot: Snapshot) -> tuple[str, ...]:
    """Units that gpuhost needs and that failed, or were stopped under a running engine."""
    return tuple(
        name
        for name in (*snapshot.units.failed, *snapshot.units.stopped)
        if name.startswith(OURS) and not name.startswith(OF_APPS)
    )


@check("system.units", "No unit of systemd has failed, and containerd runs where the engine does.")
def units(snapshot: Snapshot, settings: Settings) -> Verdict:
    ours = broken(snapshot)
    others = [name for name in snapshot.units.failed if not name.startswith(OURS)]
    if ours:
        told = [
            f"{name} {'stopped' if name in snapshot.units.stopped else 'failed'}" for name in ours
        ]
        told += [f"{name} failed" for name in others]
        return fail(
            "no failed unit",
            ", ".join(told),
            fix=f"journalctl -b -u {ours[0]}; then systemctl start {ours[0]}, or the deploy again",
        )
    if others:
        return warn(
            "no failed unit",
            f"{', '.join(others)} failed",
            fix=f"journalctl -b -u {quote(others[0])}; when it is mended, or not needed: "
            f"systemctl reset-failed {quote(others[0])}",
        )
    return ok("none", expected="no failed unit")
