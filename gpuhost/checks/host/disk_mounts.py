"""Disks of /etc/fstab are mounted: otherwise their data fills another file system."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.disk import disks_by_directory
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.mounts import Mount


@check("disk.mounts", "Every disk that /etc/fstab mounts at boot is mounted.")
def mounts(snapshot: Snapshot, settings: Settings) -> Verdict:
    expected = f"{len(snapshot.mounts.declared)} mounts of /etc/fstab"
    missing = snapshot.mounts.missing
    if not missing:
        return ok(expected)
    judge = fail if any(_is_needed(mount, snapshot, settings) for mount in missing) else warn
    return judge(
        expected,
        "; ".join(f"{mount.source} is not mounted on {mount.target}" for mount in missing),
        fix=f"stop what writes to {missing[0].target}, then: mount {quote(missing[0].target)}; or "
        "remove its line from /etc/fstab",
    )


def _is_needed(mount: Mount, snapshot: Snapshot, settings: Settings) -> bool:
    """Whether images, data, apps or swap are stored below it."""
    below = tuple(f"{path.rstrip('/')}/" for path in (mount.target, mount.resolved))
    paths = (*disks_by_directory(snapshot, settings), settings.swap_path)
    return any(f"{path}/".startswith(below) for path in paths if path != "/")
