"""Swap, so that builds and model loading are not killed for lack of memory (exit 137)."""

from __future__ import annotations

from gpuhost.operations import swap
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def apply(settings: Settings) -> None:
    """Create a swap file of the declared size; remove it if the size is 0."""
    swap.file(
        name="Swap file",
        path=settings.swap_path,
        size_gb=settings.swap_size_gb,
        swappiness=settings.swap_swappiness,
        adopt=settings.adopt,
        present=settings.swap_size_gb != 0,
        **sudo_args(settings),
    )


def remove(settings: Settings) -> None:
    """Remove the swap file; swap partitions stay."""
    swap.file(
        name="Swap file removed", path=settings.swap_path, present=False, **sudo_args(settings)
    )
