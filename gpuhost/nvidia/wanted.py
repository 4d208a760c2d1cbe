"""Whether a host is one with GPUs, by what is declared and what is on the bus."""

from __future__ import annotations

from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def gpu_wanted(now: Snapshot, declared: Settings) -> bool:
    """`gpu = "auto"` takes what is on the PCI bus.

    Raises NotRead if the bus could not be read.
    """
    if declared.gpu == "auto":
        return now.nvidia.present
    return declared.gpu == "required"


def not_concerned(now: Snapshot, declared: Settings) -> str:
    """Why nothing about drivers applies to this host; empty if it does."""
    if declared.gpu == "none":
        return 'gpu is "none"'
    return "" if now.nvidia.present else "no NVIDIA card on the bus"
