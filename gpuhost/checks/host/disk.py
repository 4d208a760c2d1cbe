"""Free space where images, data and apps are stored."""

from __future__ import annotations

from collections.abc import Iterable
from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.sizes import GB, format_size
from gpuhost.plans.disk import disks_by_directory
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.disks import Disk

MIN_FREE_INODES = 0.05
MIN_FREE_SPACE = 0.05
REPAIR = "journalctl -k | grep -iE 'remount|i/o error'; then fsck and remount"
MAPPED = "/dev/mapper/"
# It stops a faulty pool; only a person makes a dataset read-only (zfsprops(7)).
ZFS = "zfs"


def _in_words(path: str, disk: Disk) -> str:
    return path if disk.mounted_on == path else f"{path} (on {disk.mounted_on})"


@check("disk.free", "`disk_min_free_gb` is free where images, data and apps are stored.")
def free(snapshot: Snapshot, settings: Settings) -> Verdict:
    expected = f"at least {settings.disk_min_free_gb:g} GB free"
    disks = disks_by_directory(snapshot, settings)
    lacking = {p: d for p, d in disks.items() if d.free < settings.disk_min_free_gb * GB}
    least = min(disks.values(), key=lambda disk: disk.free)
    if not lacking:
        return ok(f"{format_size(least.free)} free on {least.mounted_on}", expected=expected)
    return fail(
        expected,
        "; ".join(
            f"{format_size(d.free)} free under {_in_words(p, d)}" for p, d in lacking.items()
        ),
        fix=f"{_room_of_volume_group(lacking.values())}docker system df; docker image prune; or "
        "lower disk_min_free_gb",
    )


def _room_of_volume_group(disks: Iterable[Disk]) -> str:
    """Ubuntu's installer gives a part of the disk to its logical volume, and leaves the rest."""
    mapped = [disk.source for disk in disks if disk.source.startswith(MAPPED)]
    if not mapped:
        return ""
    return f"if vgs shows VFree: lvextend -r -l +100%FREE {quote(mapped[0])}; "


@check("disk.inodes", "File systems have inodes left.")
def inodes(snapshot: Snapshot, settings: Settings) -> Verdict:
    shares = {
        p: (d.inodes_free or 0) / d.inodes
        for p, d in disks_by_directory(snapshot, settings).items()
        if d.inodes
    }
    if not shares:
        return skip("these file systems create inodes as needed")
    path, share = min(shares.items(), key=lambda item: item[1])
    if share >= MIN_FREE_INODES:
        return ok(f"{share:.0%} free", expected=f"at least {MIN_FREE_INODES:.0%} free")
    return fail(
        f"at least {MIN_FREE_INODES:.0%} free",
        f"{share:.0%} free under {path}",
        fix=f"du --inodes -x -d 3 {quote(path)} | sort -n | tail",
    )


@check(
    "disk.writable",
    "No disk of this host is read-only, unless /etc/fstab or a property of ZFS says so.",
)
def writable(snapshot: Snapshot, settings: Settings) -> Verdict:
    needed = [d for d in disks_by_directory(snapshot, settings).values() if d.read_only]
    if needed:
        names = sorted({disk.mounted_on for disk in needed})
        return fail("read-write", f"read-only: {', '.join(names)}", fix=_writable_again(needed[0]))
    local = snapshot.filesystems.local
    read_only = {d.mounted_on for d in local if d.read_only and d.fstype != ZFS}
    if read_only and (others := sorted(read_only - snapshot.mounts.read_only)):
        return warn("read-write", f"read-only: {', '.join(others)}", fix=REPAIR)
    return ok("read-write")


def _writable_again(disk: Disk) -> str:
    return f"zfs set readonly=off {quote(disk.source)}" if disk.fstype == ZFS else REPAIR


@check("disk.full", "No file system of this host is nearly full, also not /run and /tmp in RAM.")
def full(snapshot: Snapshot, settings: Settings) -> Verdict:
    expected = f"at least {MIN_FREE_SPACE:.0%} free everywhere"
    every = [*snapshot.filesystems.local, *snapshot.filesystems.in_ram]
    nearly_full = [disk for disk in every if disk.free < disk.size * MIN_FREE_SPACE]
    if not nearly_full:
        return ok(f"{len(snapshot.filesystems.local)} file systems", expected=expected)
    return warn(
        expected,
        "; ".join(
            f"{format_size(disk.free)} free of {format_size(disk.size)} on {disk.mounted_on}"
            for disk in nearly_full
        ),
        fix=f"du -x -h -d 2 {quote(nearly_full[0].mounted_on)} | sort -h | tail",
    )
