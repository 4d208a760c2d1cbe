"""RAM, swap in use, and the limits that a control group sets."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import Request
from gpuhost.snapshot.swap import SWAPS, swap_areas
from gpuhost.snapshot.system import CONTAINER

# cgroup v1 writes "no limit" as the largest multiple of a page below 2**63.
NO_LIMIT_V1 = 1 << 60
MEMINFO = "/proc/meminfo"
LIMIT_V2 = "/sys/fs/cgroup/memory.max"
LIMIT_V1 = "/sys/fs/cgroup/memory/memory.limit_in_bytes"
# ZFS gives its cache back on demand, down to c_min; the kernel counts all of it as used.
ARC = "/proc/spl/kstat/zfs/arcstats"
# 2: the kernel refuses what could exceed CommitLimit, used or not (vm, overcommit-accounting).
OVERCOMMIT, STRICT = "/proc/sys/vm/overcommit_memory", "2"
REQUEST = Request(files=(MEMINFO, LIMIT_V2, LIMIT_V1, SWAPS, ARC, OVERCOMMIT))


@dataclass(frozen=True)
class Memory:
    """All in bytes. Swap is on disks: zram is RAM, which MemAvailable counts already.

    + limit: of the host's own control group; None: no limit
    + huge: reserved for huge pages: free or not, other programs cannot use it
    + committable: what programs may still reserve; None: as much as they like
    """

    total: int
    available: int
    swap_total: int
    swap_free: int
    limit: int | None
    committable: int | None = None
    huge: int = 0

    @property
    def usable(self) -> int:
        """RAM and swap that containers can use, within the limit."""
        both = self.total - self.huge + self.swap_total
        return both if self.limit is None else min(both, self.limit + self.swap_total)

    @classmethod
    def read(cls, probes: Probes) -> Memory:
        values = _kilobytes(probes.file(MEMINFO) or "")
        if "MemTotal" not in values:
            raise NotRead("/proc/meminfo has no MemTotal")
        in_ram = [area for area in swap_areas(probes.file(SWAPS) or "") if area.is_ram]
        size, used = sum(area.size for area in in_ram), sum(area.used for area in in_ram)
        return cls(
            total=values["MemTotal"],
            available=values.get("MemAvailable", values.get("MemFree", 0)) + _cache_of_zfs(probes),
            swap_total=max(0, values.get("SwapTotal", 0) - size),
            swap_free=max(0, values.get("SwapFree", 0) - (size - used)),
            limit=_limit(probes.file(LIMIT_V2) or probes.file(LIMIT_V1)),
            committable=_committable(probes, values),
            huge=values.get("Hugetlb", 0),
        )


def _cache_of_zfs(probes: Probes) -> int:
    """A container sees the cache of its host beside its own memory."""
    if probes.file(CONTAINER):
        return 0
    rows = (line.split() for line in (probes.file(ARC) or "").splitlines())
    values = {row[0]: int(row[2]) for row in rows if len(row) == 3 and row[2].isdecimal()}
    return max(0, values.get("size", 0) - values.get("c_min", 0)) if "c_min" in values else 0


def _committable(probes: Probes, values: dict[str, int]) -> int | None:
    if (probes.file(OVERCOMMIT) or "").strip() != STRICT or "CommitLimit" not in values:
        return None
    return max(0, values["CommitLimit"] - values.get("Committed_AS", 0))


def _kilobytes(meminfo: str) -> dict[str, int]:
    values: dict[str, int] = {}
    for line in meminfo.splitlines():
        key, _, rest = line.partition(":")
        words = rest.split()
        if words and words[0].isdecimal():
            values[key] = int(words[0]) * 1024
    return values


def _limit(text: str | None) -> int | None:
    number = (text or "").strip()
    if not number.isdecimal() or int(number) >= NO_LIMIT_V1:
        return None
    return int(number)
