"""The mounts of /etc/fstab, and those that are mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import Request

# Links on every Debian and Ubuntu system: the kernel shows their targets.
LINKS = {"/var/run": "/run", "/var/lock": "/run/lock"}
FSTAB = "/etc/fstab"
MOUNTINFO = "/proc/self/mountinfo"
REQUEST = Request(files=(FSTAB, MOUNTINFO))


@dataclass(frozen=True)
class Mount:
    """A line of /etc/fstab."""

    source: str
    target: str


@dataclass(frozen=True)
class Mounts:
    """missing: mounted at boot, but not mounted now."""

    declared: tuple[Mount, ...]
    mounted: frozenset[str]

    @property
    def missing(self) -> tuple[Mount, ...]:
        return tuple(mount for mount in self.declared if mount.target not in self.mounted)

    @classmethod
    def read(cls, probes: Probes) -> Mounts:
        declared = tuple(_declared(probes.file(FSTAB) or ""))
        mountinfo = probes.file(MOUNTINFO) or ""
        if declared and not mountinfo:
            raise NotRead("/proc/self/mountinfo could not be read")
        rows = (line.split() for line in mountinfo.splitlines())
        mounted = frozenset(_plain(words[4]) for words in rows if len(words) > 4)
        return cls(declared, mounted)


def _declared(fstab: str) -> Iterator[Mount]:
    """fstab(5): SOURCE TARGET TYPE OPTIONS…, without swap and mounts on demand."""
    for line in fstab.splitlines():
        words = line.split()
        if len(words) < 3 or words[0].startswith("#"):
            continue
        options = set(words[3].split(",")) if len(words) > 3 else set()
        # cloud-init writes lines for disks that only some machines have.
        on_demand = options & {"noauto", "comment=cloudconfig", "x-systemd.automount"}
        if words[1].startswith("/") and words[2] not in ("swap", "ignore") and not on_demand:
            yield Mount(_unescaped(words[0]), _plain(words[1]))


def _plain(path: str) -> str:
    path = _unescaped(path).rstrip("/") or "/"
    for link, target in LINKS.items():
        if path == link or path.startswith(f"{link}/"):
            return target + path.removeprefix(link)
    return path


def _unescaped(text: str) -> str:
    """Both files write a space as `\\040`."""
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
