"""How the engine stores images."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.system import allow_programs, noexec_mount
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# dockerd's last resort, and containerd's: every layer is a whole copy of those below it.
COPYING = ("vfs", "native")


@check("docker.storage", "The engine's images share their layers, on a disk that can run programs.")
def storage(snapshot: Snapshot, settings: Settings) -> Verdict:
    engine = snapshot.docker.engine
    if engine is None:
        return later("the engine does not answer")
    if mounted_on := noexec_mount(snapshot, engine.root):
        return warn(
            "programs on the engine's disk can be started",
            f"{mounted_on} is mounted noexec: no program in a volume can be started, and with some "
            "drivers none in a container",
            evidence='"permission denied" by exec',
            fix=allow_programs(mounted_on),
        )
    if not engine.d_type:
        return warn(
            "layers are shared",
            "the disk stores no types of names (d_type): containers do not start, or show files "
            "that were deleted",
            evidence=f"{engine.root}: xfs that was made with ftype=0 (xfs_info)",
            fix="move data-root to another disk: ext4, or xfs that was made with ftype=1",
        )
    if engine.driver not in COPYING:
        return ok(engine.driver or "not named", expected="layers are shared")
    on = snapshot.disks.under(engine.root).fstype
    return warn(
        "layers are shared",
        f"the storage driver {engine.driver} copies every layer whole: images need many times "
        "their size, and builds are slow",
        evidence=f"{engine.root} is on {on}",
        fix="move data-root to ext4 or xfs; another driver starts without the present images",
    )
