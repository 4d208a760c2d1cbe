"""Swap, so that builds and model loading do not end with exit 137."""

from __future__ import annotations

from gpuhost.operations import swap
from gpuhost.settings import Settings
from gpuhost.steps.start import elevated


def ready(declared: Settings) -> None:
    """A swap file of the declared size."""
    swap.file(
        name="Swap file",
        path=declared.swap_path,
        size_gb=declared.swap_size_gb,
        swappiness=declared.swap_swappiness,
        **elevated(declared),
    )


def removed(declared: Settings) -> None:
    """No swap file; partitions stay."""
    swap.file(name="Swap file removed", path=declared.swap_path, size_gb=0, **elevated(declared))
