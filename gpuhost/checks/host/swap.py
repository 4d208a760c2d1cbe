"""Swap: enough of it, in a file that survives a reboot."""

from __future__ import annotations

from dataclasses import dataclass
from math import isqrt

from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.checks.registry import check
from gpuhost.domain.sizes import GB, MB, format_size
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.swap import SYSCTL_FILE

# mkswap takes a page for its header, and partitions are never of round size.
TOLERANCE = 16 * MB
FILE_MODE = "0600"
# swapon(8): not for files of a network or a union file system, nor of ZFS.
UNFIT = {"zfs", "overlay", "tmpfs", "nfs", "nfs4", "cifs", "fuse.sshfs", "squashfs"}


@dataclass(frozen=True)
class SwapPlan:
    """What the swap file should be. size in bytes; refusal: why it cannot be so."""

    size: int
    fstype: str
    refusal: str = ""
    fix: str = ""


def automatic_size(ram: int, free: int) -> int:
    """cloud-init's rule (cc_mounts.suggested_swapsize): by RAM, within a quarter of the free disk.

    + ram: bytes
    + free: bytes free on the disk, the present swap file counted as free
    """
    if ram < 4 * GB:
        wanted = ram
    elif ram < 16 * GB:
        wanted = 4 * GB
    else:
        wanted = isqrt(ram // GB) * GB
    size = min(wanted, 2 * ram, free // 4)
    return size // GB * GB if size >= GB else size // MB * MB


def plan(snapshot: Snapshot, settings: Settings) -> SwapPlan:
    """The swap file that the settings ask of this host; areas that are not ours count too."""
    path = settings.swap_path
    disk = snapshot.disks.under(path)
    present = _present(snapshot, settings)
    ours = snapshot.swap.area(path)
    foreign = snapshot.swap.total - (ours.size if ours else 0)
    if settings.swap_size_gb == "auto":
        # A size once chosen stays: the free disk that it came from changes every day.
        wanted = present or automatic_size(snapshot.memory.total, disk.free)
    else:
        wanted = int(settings.swap_size_gb * GB)
    size = max(0, wanted - foreign)
    if size <= TOLERANCE:
        size = 0
    if abs(size - present) <= TOLERANCE and present:
        size = present
    refusal, fix = _refusal(snapshot, settings, size, present, disk.fstype, disk.free)
    return SwapPlan(size, disk.fstype, refusal, fix)


def _present(snapshot: Snapshot, settings: Settings) -> int:
    """Bytes of the file at swap_path; where none is declared, only swap is a matter of ours."""
    file = snapshot.paths.get(settings.swap_path)
    is_swap = snapshot.swap.area(settings.swap_path) or snapshot.swap.formatted
    return file.size if file and (is_swap or settings.swap_size_gb != 0) else 0


def _refusal(
    snapshot: Snapshot, settings: Settings, size: int, present: int, fstype: str, free: int
) -> tuple[str, str]:
    ours = snapshot.swap.area(settings.swap_path)
    if size == present and (ours or not size):
        return "", ""
    if present and not ours and not snapshot.swap.formatted:
        return f"{settings.swap_path} is there and is no swap file", "set another swap_path"
    if not snapshot.swap.permitted:
        return "this is an unprivileged container: swap belongs to its host", "set swap_size_gb=0"
    if size and fstype in UNFIT:
        return (
            f"a swap file cannot live on {fstype} ({settings.swap_path})",
            "set swap_path to a directory on ext4, xfs or btrfs, or swap_size_gb=0",
        )
    if ours and ours.used > snapshot.memory.available:
        return (
            f"{format_size(ours.used)} of used swap do not fit into "
            f"{format_size(snapshot.memory.available)} of RAM",
            "stop something first: docker stats",
        )
    # The old file goes before the new one is made; a tenth of the room stays for everything else.
    if size > (free + present) * 0.9:
        return (
            f"no room: {format_size(size)} wanted, {format_size(free + present)} free under "
            f"{settings.swap_path}",
            "free some space, or lower swap_size_gb",
        )
    return "", ""


@check("swap.size", "Active swap, partitions included, is as large as `swap_size_gb` asks.")
def size(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    active = snapshot.swap.area(settings.swap_path)
    actual = format_size(snapshot.swap.total)
    present = _present(snapshot, settings)
    if wanted.size == 0 and present == 0:
        return ok(actual, evidence=_in_words(snapshot))
    if active and wanted.size == present:
        return ok(actual, evidence=_in_words(snapshot))
    return fail(
        f"{format_size(wanted.size)} in {settings.swap_path}",
        actual,
        evidence=wanted.refusal or _in_words(snapshot),
        fix=wanted.fix or f"run the deploy again (it makes {settings.swap_path})",
    )


@check("swap.boot", "The swap file is in /etc/fstab, so that it is there after a reboot.")
def boot(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = plan(snapshot, settings)
    if wanted.refusal:
        return skip(wanted.refusal)
    listed = snapshot.swap.in_fstab(settings.swap_path)
    if listed == bool(wanted.size):
        return ok("in /etc/fstab" if listed else "no swap file, no line in /etc/fstab")
    return fail(
        "in /etc/fstab" if wanted.size else "not in /etc/fstab",
        "in /etc/fstab" if listed else "not in /etc/fstab",
        fix="run the deploy again",
    )


@check("swap.mode", "Nobody but root can read the swap file.")
def mode(snapshot: Snapshot, settings: Settings) -> Verdict:
    file = snapshot.paths.get(settings.swap_path)
    if file is None:
        return skip("no swap file")
    if (file.mode, file.owner) == (FILE_MODE, "root"):
        return ok(FILE_MODE)
    return fail(
        f"{FILE_MODE} root", f"{file.mode} {file.owner}", fix=f"chmod 600 {settings.swap_path}"
    )


def sysctl_text(settings: Settings) -> str:
    """The file that sets swappiness at boot."""
    return f"vm.swappiness = {settings.swap_swappiness}\n"


@check("swap.swappiness", "The kernel swaps as eagerly as `swap_swappiness` says, now and at boot.")
def swappiness(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.swap_size_gb == 0:
        return skip("no swap is declared")
    if snapshot.swap.swappiness is None:
        raise NotRead("/proc/sys/vm/swappiness could not be read")
    wanted = str(settings.swap_swappiness)
    if snapshot.swap.swappiness != settings.swap_swappiness:
        return fail(wanted, str(snapshot.swap.swappiness), fix=f"sysctl -w vm.swappiness={wanted}")
    if snapshot.swap.sysctl != sysctl_text(settings):
        return fail(f"{wanted} at boot too", f"not in {SYSCTL_FILE}", fix="run the deploy again")
    return ok(wanted)


def _in_words(snapshot: Snapshot) -> str:
    return (
        ", ".join(f"{area.path} {format_size(area.size)}" for area in snapshot.swap.areas)
        or "no active swap"
    )
