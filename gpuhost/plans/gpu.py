"""Whether a host is one with GPUs, by what is declared and what is on the bus."""

from __future__ import annotations

from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

FACT = "nvidia_cards"


def gpu_wanted(now: Snapshot, declared: Settings) -> bool:
    """`gpu = "auto"` takes what is on the PCI bus, or was when the host was made ready.

    Raises NotRead if the bus could not be read.
    """
    if declared.gpu == "auto":
        return now.nvidia.present or bool(cards_on_record(now))
    return declared.gpu == "required"


def not_concerned(now: Snapshot, declared: Settings) -> str:
    """Why nothing about drivers applies to this host; empty if it does."""
    if declared.gpu == "none":
        return 'gpu is "none"'
    return "" if now.nvidia.present else "no NVIDIA card on the bus"


def cards_on_record(now: Snapshot) -> int:
    """How many cards the last deploy found: those that fall off the bus leave no other trace."""
    count = now.applied.facts.get(FACT) if now.applied else 0
    return count if isinstance(count, int) else 0


def on_record(now: Snapshot, declared: Settings) -> dict[str, int]:
    """What the host is to remember of its cards. Raises NotRead."""
    if declared.gpu == "none":
        return {FACT: 0}
    found = len(now.nvidia.gpus) or len(now.nvidia.answering)
    # That they are gone is not what was wanted: a deploy without them does not forget them.
    return {FACT: found or cards_on_record(now)}
