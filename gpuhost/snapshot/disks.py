"""The file systems of the host: free space, inodes, and which are read-only."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from functools import lru_cache
from pathlib import PurePosixPath

from gpuhost.snapshot.mounts import MOUNTINFO
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

CONTAINERD = "/var/lib/containerd"


@lru_cache(maxsize=256)
def ancestry(path: str) -> tuple[str, ...]:
    """A path and all its parents: `df` answers for those of them that exist."""
    return (path, *(str(parent) for parent in PurePosixPath(path).parents))


# `df` for a directory, and for every file system of this machine.
COLUMNS = "source,fstype,size,avail,itotal,iavail,target"
# In RAM on most hosts; apt, the engine and builds write to them.
IN_RAM = ("/run", "/tmp")  # noqa: S108
REQUEST = Request(
    directories=("/", *ancestry(CONTAINERD)),
    probes=(
        ProbeCommand("disks", f"df -B1 --output=file,{COLUMNS}", arguments="directories"),
        # `-l`: no file systems of other machines, so that only a local fault can make it hang.
        ProbeCommand(
            "filesystems",
            f"df -l -B1 --output={COLUMNS} -x tmpfs -x devtmpfs -x overlay -x squashfs -x iso9660"
            " -x erofs -x efivarfs",
        ),
        ProbeCommand("in_ram", f"df -B1 --output={COLUMNS} {' '.join(IN_RAM)}"),
        ProbeCommand(
            "containerd_root",
            "grep -E '^ *root *=' /etc/containerd/config.toml",
            absent=Probe(2),
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class Disk:
    """The file system under a directory. Sizes in bytes; no inode numbers on btrfs and the like."""

    source: str
    fstype: str
    size: int
    free: int
    inodes: int | None
    inodes_free: int | None
    mounted_on: str
    read_only: bool


@dataclass(frozen=True)
class Disks:
    """File systems by the directories that were requested.

    + containerd: where containerd keeps images, from its configuration
    """

    by_directory: dict[str, Disk]
    containerd: str = CONTAINERD

    def under(self, path: str) -> Disk:
        """The file system that holds a path, or would hold it.

        Raises NotRead if `df` did not list it.
        """
        for directory in ancestry(path):
            if directory in self.by_directory:
                return self.by_directory[directory]
        raise NotRead(f"the file system under {path} could not be read")

    @classmethod
    def read(cls, probes: Probes) -> Disks:
        """The requested directories, and local mount points if those could be read."""
        probe = probes.get("disks")
        if probe.rc is None:
            raise NotRead("df timed out: a file system hangs")
        read_only = _read_only_mounts(probes.file(MOUNTINFO) or "")
        mounted = probes.get("filesystems").out if "filesystems" in probes else ""
        disks = {row["target"]: _disk(row, read_only) for row in _rows(mounted, _ROW)}
        requested = _rows(probe.out, _ROW_OF_FILE)
        disks |= {row["file"]: _disk(row, read_only) for row in requested}
        return cls(disks, _containerd_root(probes))


@dataclass(frozen=True)
class Filesystems:
    """Every file system on a disk of this machine, by where it is mounted; in_ram: also /run and
    /tmp, where they are file systems of their own.
    """

    local: tuple[Disk, ...]
    in_ram: tuple[Disk, ...] = ()

    @classmethod
    def read(cls, probes: Probes) -> Filesystems:
        probe = probes.get("filesystems")
        if probe.rc is None:
            raise NotRead("df timed out: a file system of this machine hangs")
        if probe.rc != 0 and not probe.out:
            raise NotRead(f"df: {probe.complaint}")
        read_only = _read_only_mounts(probes.file(MOUNTINFO) or "")
        every = (_disk(row, read_only) for row in _rows(probe.out, _ROW))
        rows = _rows(probes.get("in_ram").out if "in_ram" in probes else "", _ROW)
        # Where one is a directory of a disk, that disk is listed.
        in_ram = tuple(_disk(row, read_only) for row in rows if row["fstype"] == TMPFS)
        return cls(tuple(disk for disk in every if not _is_image(disk)), in_ram)


TMPFS = "tmpfs"
# File systems of packed images: always full, never written. Others mount them too: snapd uses
# fuse.snapfuse in containers, AppImages have a fuse type of their own, CVMFS has none.
_IMAGES = frozenset({"squashfs", "erofs", "cramfs", "romfs", "iso9660", "composefs"})
# Only the firmware reads it, and only a new boot loader is written to it.
_EFI = frozenset({"/boot/efi", "/efi"})


def _is_image(disk: Disk) -> bool:
    """Whether a file system is no disk that programs store data on."""
    packed = disk.fstype.startswith("fuse.") or disk.fstype in ("fuse", "overlay", "udf")
    loop = disk.source.startswith("/dev/loop")
    snapshot = disk.fstype == "zfs" and "@" in disk.source
    return (
        disk.fstype in _IMAGES
        or disk.mounted_on in _EFI
        or (disk.read_only and (packed or loop or snapshot))
    )


# FILE (if it was requested), then these. Names may hold spaces; btrfs counts no inodes (`-`).
_COLUMNS = (
    r"(?P<source>\S+) +(?P<fstype>\S+) +(?P<size>\d+) +(?P<free>\d+)"
    r" +(?P<inodes>\d+|-) +(?P<inodes_free>\d+|-) +(?P<target>/.*)"
)
_ROW = re.compile(_COLUMNS, re.ASCII)
_ROW_OF_FILE = re.compile(r"(?P<file>/.*?)(?<! ) +" + _COLUMNS, re.ASCII)


def _rows(output: str, pattern: re.Pattern[str]) -> Iterator[re.Match[str]]:
    return filter(None, map(pattern.fullmatch, output.splitlines()))


def _disk(row: re.Match[str], read_only: frozenset[str]) -> Disk:
    return Disk(
        source=row["source"],
        fstype=row["fstype"],
        size=int(row["size"]),
        free=int(row["free"]),
        inodes=_count(row["inodes"]),
        inodes_free=_count(row["inodes_free"]),
        mounted_on=row["target"],
        read_only=row["target"] in read_only,
    )


def _count(word: str) -> int | None:
    return int(word) if word.isdecimal() and word != "0" else None


# Two parts of a snapshot need it.
@lru_cache(maxsize=2)
def _read_only_mounts(mountinfo: str) -> frozenset[str]:
    """Mount points that are read-only, by their own options or by those of the file system.

    A file system that the kernel made read-only after an error stays `rw` in the mount's own
    options (proc_pid_mountinfo(5): fields 6 and 11).
    """
    mounts = {}
    for line in mountinfo.splitlines():
        own, _, of_filesystem = line.partition(" - ")
        words, tail = own.split(), of_filesystem.split()
        if len(words) > 5:
            options = {*words[5].split(","), *(tail[2].split(",") if len(tail) > 2 else ())}
            # Of several mounts on one point the last one counts.
            mounts[_unescaped(words[4])] = "ro" in options
    return frozenset(target for target, is_read_only in mounts.items() if is_read_only)


def _containerd_root(probes: Probes) -> str:
    """`root = "/var/lib/containerd"` in containerd's config.toml; the file may be missing."""
    text = probes.get("containerd_root").out if "containerd_root" in probes else ""
    match = re.search(r"""^ *root *= *["'](/[^"'\n]*)["']""", text, re.MULTILINE)
    return match[1] if match else CONTAINERD


def _unescaped(path: str) -> str:
    """mountinfo writes a space as `\\040`."""
    if "\\" not in path:
        return path
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), path)
