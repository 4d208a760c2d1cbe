"""Swap, so that builds and model loading do not end with exit 137."""

from __future__ import annotations

from gpuhost.operations import swap
from gpuhost.settings import Settings
from gpuhost.steps.start import sudo_args


def ready(settings: Settings) -> None:
    """A swap file of the declared size."""
    swap.file(
        name="Swap file",
        path=settings.swap_path,
        size_gb=settings.swap_size_gb,
        swappiness=settings.swap_swappiness,
        **sudo_args(settings),
    )


def removed(settings: Settings) -> None:
    """No swap file; partitions stay."""
    swap.file(name="Swap file removed", path=settings.swap_path, size_gb=0, **sudo_args(settings))
