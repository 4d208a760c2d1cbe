"""The swap of the machine that runs the lab: every host has the same kernel, and sees it too."""

from __future__ import annotations

from pathlib import Path

from gpuhost.snapshot.swap import SWAPS, swap_areas
from tests.lab.containers import SWAP_FOLDER


def machine_swap_gb(table: Path = Path(SWAPS)) -> float:
    """GiB of swap areas that belong to no lab host; a host's `swap_size_gb` counts them."""
    areas = [
        area
        for area in swap_areas(table.read_text())
        if not area.path.startswith(f"{SWAP_FOLDER}/") and not area.is_ram
    ]
    return sum(area.size for area in areas) / 2**30
