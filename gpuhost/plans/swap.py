"""The swap file that the settings declare."""

from __future__ import annotations

import re
from dataclasses import dataclass
from math import isqrt
from string import ascii_letters, digits

from gpuhost.domain.sizes import GB, MB, format_size
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.disks import ancestry
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.sysctl import OLDER_SWAP_FILE, SWAP_FILE, SWAPPINESS, Assignment

# mkswap takes a page for its header, and partitions are never of round size.
TOLERANCE = 16 * MB
SWAP_TARGET = "swap.target"
UNESCAPED = frozenset(ascii_letters + digits + ":_.")
# swapon(8): no swap files on a network or union file system, nor on ZFS.
UNFIT = {"zfs", "overlay", "tmpfs", "nfs", "nfs4", "cifs", "fuse.sshfs", "squashfs"}


@dataclass(frozen=True)
class SwapPlan:
    """The swap file as it should be. size in bytes; refusal: why that is not possible."""

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
        total = ram
    elif ram < 16 * GB:
        total = 4 * GB
    else:
        total = isqrt(ram // GB) * GB
    size = min(total, 2 * ram, free // 4)
    return size // GB * GB if size >= GB else size // MB * MB


def plan(snapshot: Snapshot, settings: Settings) -> SwapPlan:
    """The swap file for these settings; other swap areas count towards the size."""
    path = settings.swap_path
    disk = snapshot.disks.under(path)
    present = present_size(snapshot, settings)
    own_area = snapshot.swap.area(path)
    foreign = snapshot.swap.total - (own_area.size if own_area else 0)
    if settings.swap_size_gb == "auto":
        # A size once chosen stays: the free disk changes every day.
        total = present or _automatic(snapshot, disk.free)
    else:
        total = int(settings.swap_size_gb * GB)
    size = max(0, total - foreign)
    if size <= TOLERANCE:
        size = 0
    if abs(size - present) <= TOLERANCE and present:
        size = present
    refusal, fix = _refusal(snapshot, settings, size, present, disk.fstype, disk.free)
    return SwapPlan(size, disk.fstype, refusal, fix)


def _automatic(snapshot: Snapshot, free: int) -> int:
    if snapshot.engines.refuses_swap:
        return 0
    return automatic_size(snapshot.memory.total, free)


def present_size(snapshot: Snapshot, settings: Settings) -> int:
    """Bytes of the file at swap_path; if none is declared, only of one that is swap."""
    file = snapshot.paths.get(settings.swap_path)
    is_swap = snapshot.swap.area(settings.swap_path) or snapshot.swap.formatted
    return file.size if file and (is_swap or settings.swap_size_gb != 0) else 0


def _refusal(
    snapshot: Snapshot, settings: Settings, size: int, present: int, fstype: str, free: int
) -> tuple[str, str]:
    own_area = snapshot.swap.area(settings.swap_path)
    if size == present and (own_area or not size):
        return "", ""
    if present and not own_area and not snapshot.swap.formatted:
        return f"{settings.swap_path} exists and is not a swap file", "set another swap_path"
    if not snapshot.swap.permitted:
        return "this is an unprivileged container: swap belongs to its host", "set swap_size_gb=0"
    if size and not own_area and (kubelet := snapshot.engines.refuses_swap):
        return (
            f"{kubelet} does not start again where swap is on",
            "set swap_size_gb=0, or failSwapOn: false in its configuration",
        )
    if size and fstype in UNFIT:
        return (
            f"a swap file on {fstype} is not possible ({settings.swap_path})",
            "set swap_path to a directory on ext4, xfs or btrfs, or swap_size_gb=0",
        )
    if own_area and own_area.used > snapshot.memory.available:
        return (
            f"{format_size(own_area.used)} of used swap do not fit in "
            f"{format_size(snapshot.memory.available)} of RAM",
            "free some memory first: docker stats",
        )
    # The old file is deleted before the new one is created; 10% of the space stays free.
    if size > (free + present) * 0.9:
        return (
            f"{format_size(size)} needed, {format_size(free + present)} free under "
            f"{settings.swap_path}",
            "free some space, or lower swap_size_gb",
        )
    return "", ""


def boot_units(settings: Settings) -> tuple[str, str]:
    """What switches the file on at boot. Guides of Kubernetes mask them."""
    return SWAP_TARGET, f"{unit_name(settings.swap_path)}.swap"


def unit_name(path: str) -> str:
    """systemd's name for a path: systemd.unit(5), escaping."""
    escaped = "".join(
        "-" if c == "/" else c if c in UNESCAPED else "".join(f"\\x{b:02x}" for b in c.encode())
        for c in path.strip("/")
    )
    return re.sub(r"^\.", r"\\x2e", escaped)


def sysctl_text(settings: Settings) -> str:
    """The file that sets swappiness at boot."""
    return f"vm.swappiness = {settings.swap_swappiness}\n"


def overriding(snapshot: Snapshot, settings: Settings) -> list[Assignment]:
    """Lines of others that would win at boot although gpuhost's file is read last but them."""
    files, found = snapshot.sysctl.with_file(OLDER_SWAP_FILE, ""), []
    files = files.with_file(SWAP_FILE, sysctl_text(settings))
    while (line := files.winner(SWAPPINESS)) and line.path != SWAP_FILE:
        found.append(line)
        files = files.without(line)
    return found


def request(settings: Settings) -> Request:
    path = settings.swap_path
    return Request(plain=(path,), directories=ancestry(path), swap_files=(path,))
