"""The mounts of /etc/fstab, and those that are mounted."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass
from shlex import quote

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# Links on every Debian and Ubuntu system: the kernel shows their targets.
LINKS = {"/var/run": "/run", "/var/lock": "/run/lock"}
FSTAB = "/etc/fstab"
MOUNTINFO = "/proc/self/mountinfo"
# mount(8) follows links: where each target of fstab leads, in the order of its lines.
# printf %b reads \\040 as a space.
RESOLVED = (
    'set -f; set --; while read -r source target rest || [ "$source" ]; do case $source in "#"*) ;;'
    ' *) case $target in /*) set -- "$@" "$(printf %b "$target")" ;; esac ;; esac; done'
    ' </etc/fstab; [ $# = 0 ] || exec readlink -m -- "$@"'
)
REQUEST = Request(
    files=(FSTAB, MOUNTINFO),
    probes=(ProbeCommand("fstab_targets", f"sh -c {quote(RESOLVED)}"),),
)


@dataclass(frozen=True)
class Mount:
    """A line of /etc/fstab.

    + resolved: where the target leads, as the kernel shows it
    """

    source: str
    target: str
    resolved: str
    read_only: bool


@dataclass(frozen=True)
class Mounts:
    """missing: mounted at boot, but not mounted now; noexec: where no program can be started."""

    declared: tuple[Mount, ...]
    mounted: frozenset[str]
    noexec: frozenset[str] = frozenset()

    @property
    def missing(self) -> tuple[Mount, ...]:
        return tuple(mount for mount in self.declared if mount.resolved not in self.mounted)

    @property
    def read_only(self) -> frozenset[str]:
        """Mount points that /etc/fstab declares read-only."""
        return frozenset(mount.resolved for mount in self.declared if mount.read_only)

    @classmethod
    def read(cls, probes: Probes) -> Mounts:
        lines = [line.split() for line in (probes.file(FSTAB) or "").splitlines()]
        if probes.get("fstab_targets").rc is None:
            raise NotRead("the mount points of /etc/fstab: timed out: a file system hangs")
        resolved = _resolved(lines, probes.get("fstab_targets").out)
        declared = tuple(_declared(lines, resolved))
        mountinfo = probes.file(MOUNTINFO) or ""
        if declared and not mountinfo:
            raise NotRead("/proc/self/mountinfo could not be read")
        rows = (line.split() for line in mountinfo.splitlines())
        # Of several mounts on one point the last one counts.
        options = {_plain(words[4]): words[5].split(",") for words in rows if len(words) > 5}
        noexec = frozenset(target for target, given in options.items() if "noexec" in given)
        return cls(declared, frozenset(options), noexec)


def _resolved(lines: list[list[str]], output: str) -> dict[str, str]:
    """Each target of fstab and where it leads; empty if that was not read."""
    targets = [
        words[1]
        for words in lines
        if len(words) > 1 and not words[0].startswith("#") and words[1].startswith("/")
    ]
    found = output.splitlines()
    return dict(zip(targets, found, strict=True)) if len(found) == len(targets) else {}


def _declared(lines: list[list[str]], resolved: dict[str, str]) -> Iterator[Mount]:
    """fstab(5): SOURCE TARGET TYPE OPTIONS…, without swap and mounts on demand."""
    for words in lines:
        if len(words) < 3 or words[0].startswith("#"):
            continue
        options = set(words[3].split(",")) if len(words) > 3 else set()
        # cloud-init writes lines for disks that only some machines have.
        on_demand = options & {"noauto", "comment=cloudconfig", "x-systemd.automount"}
        if words[1].startswith("/") and words[2] not in ("swap", "ignore") and not on_demand:
            target = _plain(words[1])
            leads_to = resolved.get(words[1], target)
            yield Mount(_unescaped(words[0]), target, leads_to, "ro" in options)


def _plain(path: str) -> str:
    path = _unescaped(path).rstrip("/") or "/"
    for link, target in LINKS.items():
        if path == link or path.startswith(f"{link}/"):
            return target + path.removeprefix(link)
    return path


def _unescaped(text: str) -> str:
    """Both files write a space as `\\040`."""
    if "\\" not in text:
        return text
    return re.sub(r"\\([0-7]{3})", lambda octal: chr(int(octal[1], 8)), text)
