"""How the engine stores images."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# dockerd's last resort, and containerd's: every layer is a whole copy of those below it.
COPYING = ("vfs", "native")


@check("docker.storage", "The engine's images share their layers on disk.")
def storage(snapshot: Snapshot, settings: Settings) -> Verdict:
    engine = snapshot.docker.engine
    if engine is None:
        return later("the engine does not answer")
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
