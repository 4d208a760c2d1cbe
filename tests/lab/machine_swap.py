"""The swap of the machine that runs the lab: every host has the same kernel, and sees it too."""

from __future__ import annotations

from pathlib import Path

from tests.lab.containers import SWAP_FOLDER

GIB_IN_KIB = 1024 * 1024


def machine_swap_gb() -> float:
    """GiB of swap areas that belong to no lab host; a host's `swap_size_gb` counts them."""
    _, *areas = Path("/proc/swaps").read_text().splitlines()
    return sum(
        int(size) / GIB_IN_KIB
        for path, _, size, *_ in map(str.split, areas)
        if not path.startswith(f"{SWAP_FOLDER}/")
    )
