"""Operations on swap."""

from __future__ import annotations

from typing import Literal

from pyinfra import host

from gpuhost.operations.findings import failing_ids
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.plans.swap import overriding, plan, sysctl_text
from gpuhost.remote.commands import put, remove, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.sysctl import OLDER_SWAP_FILE, OURS, SWAP_FILE, SWAPPINESS

# Enough to write 64 GB of zeros to a slow disk, where fallocate is not possible.
CREATE_SECONDS = 3600


@operation
def file(
    path: str = "/swapfile",
    size_gb: Literal["auto"] | float = "auto",
    swappiness: int = 10,
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Ensure that the host has a swap file of the right size, active now and at boot. Swap partitions
    count towards the size. Where a swap file is not possible, nothing is changed and the reason is
    printed: an unprivileged container, ZFS, a full disk, an old file whose content does not fit
    into RAM, or another file at that path.

    + path: the path of the file
    + size_gb: total swap in GB, or "auto": by RAM and free disk space
    + swappiness: `vm.swappiness`, now and at boot
    + adopt: switch off lines of others that set it and are read after gpuhost's file
    + present: False: remove the file, its line in fstab, and the setting of `vm.swappiness`

    **Example:**

    .. code:: python

        from gpuhost.operations import swap
        swap.file(name="8 GB of swap", path="/swapfile", size_gb=8)
    """
    settings = Settings(
        swap_path=path,
        swap_size_gb=size_gb if present else 0,
        swap_swappiness=swappiness,
        adopt=adopt,
    )
    snapshot = read(settings)
    wrong = failing_ids(snapshot, settings, "swap")
    target = plan(snapshot, settings)
    if not wrong:
        host.noop(f"swap file {path} is as declared")
        return
    if target.refusal:
        refuse("swap", target.refusal)
        return
    if "swap.size" in wrong:
        yield script("swap_file.sh", path, target.size, target.fstype, seconds=CREATE_SECONDS)
    if "swap.mode" in wrong and target.size:
        yield run("chown", "root:root", path)
        yield run("chmod", "600", path)
    if "swap.boot" in wrong:
        line = [f"{path} none swap sw 0 0"] if target.size else []
        yield script("swap_fstab.sh", path, *line, seconds=30)
    if "swap.swappiness" in wrong or "swap.size" in wrong:
        yield from _swappiness(snapshot, settings)


def _swappiness(snapshot: Snapshot, settings: Settings) -> Commands:
    if settings.swap_size_gb == 0:
        yield remove(*OURS)
        return
    others = overriding(snapshot, settings)
    if others and not settings.adopt:
        lines = ", ".join(map(str, others))
        refuse("swap", f"{SWAPPINESS} is set again at boot by {lines}: remove it or set adopt=True")
    yield put(SWAP_FILE, sysctl_text(settings))
    yield remove(OLDER_SWAP_FILE)
    yield run("sysctl", "-q", "-w", f"{SWAPPINESS}={settings.swap_swappiness}")
    for other in others if settings.adopt else []:
        edit = f"{other.line}s|^|# switched off by gpuhost: |"
        yield run("sed", "--follow-symlinks", "-i", edit, other.path)
