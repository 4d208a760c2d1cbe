"""Swap, as a pyinfra fact."""

from __future__ import annotations

from typing import TypedDict

from pyinfra.api import FactBase
from pyinfra.api.exceptions import FactProcessError
from typing_extensions import override

from gpuhost.snapshot import NotRead, Probe, Probes
from gpuhost.snapshot.swap import Swap as SwapPart

FILES = "/proc/swaps /proc/sys/vm/swappiness"


class Area(TypedDict):
    """A line of /proc/swaps; sizes in bytes."""

    path: str
    kind: str
    size: int
    used: int


class SwapState(TypedDict):
    """All active areas, their total in bytes, and how eagerly the kernel swaps (0 to 200)."""

    areas: list[Area]
    total: int
    swappiness: int | None


class Swap(FactBase[SwapState | None]):
    """
    Active swap, files and partitions alike, and the kernel's swappiness (proc(5), swapon(8)).
    `total` is on disks: zram is RAM.

    **Example:**

    .. code:: python

        from gpuhost.facts.swap import Swap

        # {"areas": [{"path": "/swapfile", "kind": "file", "size": 4294963200, "used": 0}],
        #  "total": 4294963200, "swappiness": 10}
        host.get_fact(Swap)

    or ``pyinfra HOST fact gpuhost.facts.swap.Swap``
    """

    @override
    def command(self) -> str:
        return f"LC_ALL=C timeout -k 1 5 grep -aH '' {FILES}"

    @override
    def process(self, output: list[str]) -> SwapState:
        probes = Probes({"files": Probe(0, "\n".join(output))})
        try:
            swap = SwapPart.read(probes)
        except NotRead as error:
            raise FactProcessError(str(error)) from error
        areas = [Area(path=a.path, kind=a.kind, size=a.size, used=a.used) for a in swap.areas]
        return SwapState(areas=areas, total=swap.total, swappiness=swap.swappiness)
