"""Swap, now and after the next boot."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

CAP_SYS_ADMIN = 1 << 21
SWAPS, SWAPPINESS = "/proc/swaps", "/proc/sys/vm/swappiness"
FSTAB, STATUS = "/etc/fstab", "/proc/self/status"
NAMES = {"UUID": "/dev/disk/by-uuid/", "PARTUUID": "/dev/disk/by-partuuid/"}
REQUEST = Request(
    files=(SWAPS, SWAPPINESS, FSTAB, STATUS),
    probes=(
        ProbeCommand("swap_types", "blkid -p -o value -s TYPE", arguments="swap_files"),
        ProbeCommand(
            "disk_names",
            rf"printf '%s\n' {' '.join(f'{directory}*' for directory in NAMES.values())}",
            at_once=True,
        ),
    ),
)


@dataclass(frozen=True)
class SwapArea:
    """One line of /proc/swaps; sizes in bytes."""

    path: str
    kind: str
    size: int
    used: int

    @property
    def is_ram(self) -> bool:
        """Whether it is compressed RAM (zram) or a RAM disk, and so adds nothing to RAM."""
        return bool(re.fullmatch(r"/dev/z?ram\d+", self.path))


@dataclass(frozen=True)
class Swap:
    """Swap now and at boot.

    + formatted: the file at `swap_path` is formatted as swap, active or not
    + permitted: the host may call swapon
    + lost: areas of fstab on a disk that is not there, for which a boot waits
    """

    areas: tuple[SwapArea, ...]
    fstab: str
    swappiness: int | None
    formatted: bool
    permitted: bool
    lost: tuple[str, ...] = ()

    @property
    def total(self) -> int:
        """On disks."""
        return sum(area.size for area in self.areas if not area.is_ram)

    def area(self, path: str) -> SwapArea | None:
        return next((area for area in self.areas if area.path == path), None)

    def in_fstab(self, path: str) -> bool:
        """Whether its line switches it on at boot."""
        return any(
            words[0] == path
            and words[2] == "swap"
            and "noauto" not in ",".join(words[3:4]).split(",")
            for words in _fstab_lines(self.fstab)
        )

    @classmethod
    def read(cls, probes: Probes) -> Swap:
        table = probes.file(SWAPS)
        if table is None:
            raise NotRead("/proc/swaps does not exist: the kernel has no swap")
        swappiness = (probes.file(SWAPPINESS) or "").strip()
        return cls(
            areas=tuple(swap_areas(table)),
            fstab=probes.file(FSTAB) or "",
            swappiness=int(swappiness) if swappiness.isdigit() else None,
            formatted=_is_formatted(probes),
            permitted=_may_swapon(probes.file(STATUS) or ""),
            lost=tuple(_lost(probes)),
        )


def _lost(probes: Probes) -> Iterator[str]:
    names = probes.get("disk_names").out.splitlines() if "disk_names" in probes else []
    known = {name.lower() for name in names if not name.endswith("*")}
    for words in _fstab_lines(probes.file(FSTAB) or ""):
        options = set(",".join(words[3:4]).split(","))
        if words[2] != "swap" or options & {"noauto", "nofail"}:
            continue
        kind, equals, id = words[0].partition("=")
        path = f"{NAMES.get(kind, '')}{id}".replace('"', "") if equals else words[0]
        # udev names the disks of each kind in a directory of its own.
        directory = next((each for each in NAMES.values() if path.startswith(each)), None)
        listed = any(name.startswith(directory) for name in known) if directory else False
        if listed and path.lower() not in known:
            yield words[0]


def _is_formatted(probes: Probes) -> bool:
    if "swap_types" not in probes:
        return False
    probe = probes.get("swap_types")
    if probe.rc is None:
        raise NotRead("blkid timed out on the swap file")
    return probe.out.strip() == "swap"


def swap_areas(table: str) -> list[SwapArea]:
    """The lines of /proc/swaps."""
    areas = []
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) >= 4 and words[2].isdecimal() and words[3].isdecimal():
            path = words[0].replace("\\040", " ")
            size, used = int(words[2]) * 1024, int(words[3]) * 1024
            areas.append(SwapArea(path, words[1], size, used))
    return areas


def _fstab_lines(fstab: str) -> list[list[str]]:
    lines = (line.split() for line in fstab.splitlines() if not line.lstrip().startswith("#"))
    return [words for words in lines if len(words) >= 3]


def _may_swapon(status: str) -> bool:
    """Root of an unprivileged container has no CAP_SYS_ADMIN over the kernel's swap."""
    for line in status.splitlines():
        key, _, value = line.partition(":")
        if key == "CapBnd":
            try:
                return bool(int(value.strip(), 16) & CAP_SYS_ADMIN)
            except ValueError:
                return False
    return False
