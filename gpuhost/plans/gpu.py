"""Whether a host is one with GPUs, by what is declared and what is on the bus."""

from __future__ import annotations

from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

FACT = "nvidia_cards"


def gpu_wanted(snapshot: Snapshot, settings: Settings) -> bool:
    """`gpu = "auto"` takes what is on the PCI bus, or was when the host was made ready.

    Raises NotRead if the bus could not be read.
    """
    if settings.gpu == "auto":
        return snapshot.nvidia.present or bool(cards_on_record(snapshot))
    return settings.gpu == "required"


def not_concerned(snapshot: Snapshot, settings: Settings) -> str:
    """Why nothing about drivers applies to this host; empty if it does."""
    if settings.gpu == "none":
        return 'gpu is "none"'
    return "" if snapshot.nvidia.present else "no NVIDIA card on the bus"


def cards_on_record(snapshot: Snapshot) -> int:
    """How many cards the last deploy found: those that fall off the bus leave no other trace."""
    count = snapshot.applied.facts.get(FACT) if snapshot.applied else 0
    return count if isinstance(count, int) else 0


def on_record(snapshot: Snapshot, settings: Settings) -> dict[str, int]:
    """What the host is to remember of its cards. Raises NotRead."""
    if settings.gpu == "none":
        return {FACT: 0}
    found = len(snapshot.nvidia.gpus) or len(snapshot.nvidia.answering)
    # That they are gone is not what was wanted: a deploy without them does not forget them.
    return {FACT: found or cards_on_record(snapshot)}
