"""The write side of swap."""

from __future__ import annotations

from typing import Literal

from pyinfra import host

from gpuhost.checks.registry import failing
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.swap import plan, sysctl_text
from gpuhost.remote.commands import put, refuse, remove, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot.swap import SYSCTL_FILE

# Writing 64 GB of zeros to a slow disk, where fallocate does not do.
MAKING_TIMEOUT = 3600


@operation
def file(
    path: str = "/swapfile", size_gb: Literal["auto"] | float = "auto", swappiness: int = 10
) -> Commands:
    """
    Have a swap file of the right size, active now and after a reboot. Partitions count towards
    the size. Does nothing, and says why, where swap cannot be had: an unprivileged container,
    ZFS, a full disk, more in the old file than fits into RAM, or another file at that path.

    + path: where the file is
    + size_gb: GB of swap in all; 0: take the file away; "auto": by RAM and free disk
    + swappiness: `vm.swappiness`, now and at boot

    **Example:**

    .. code:: python

        from gpuhost.operations import swap
        swap.file(name="8 GB of swap", path="/swapfile", size_gb=8)
    """
    settings = Settings(swap_path=path, swap_size_gb=size_gb, swap_swappiness=swappiness)
    snapshot = read(settings)
    wrong = {finding.id for finding in failing(snapshot, settings, "swap")}
    wanted = plan(snapshot, settings)
    if not wrong:
        host.noop(f"swap file {path} is as declared")
        return
    if wanted.refusal:
        refuse("swap", wanted.refusal)
        return
    if "swap.size" in wrong:
        yield script("swap_file.sh", path, wanted.size, wanted.fstype, seconds=MAKING_TIMEOUT)
    if "swap.mode" in wrong and wanted.size:
        yield run("chown", "root:root", path)
        yield run("chmod", "600", path)
    if "swap.boot" in wrong:
        line = [f"{path} none swap sw 0 0"] if wanted.size else []
        yield script("swap_fstab.sh", path, *line, seconds=30)
    if "swap.swappiness" in wrong or "swap.size" in wrong:
        yield from _swappiness(settings)


def _swappiness(settings: Settings) -> Commands:
    if settings.swap_size_gb == 0:
        yield remove(SYSCTL_FILE)
        return
    yield put(SYSCTL_FILE, sysctl_text(settings))
    yield run("sysctl", "-q", "-w", f"vm.swappiness={settings.swap_swappiness}")
