"""Whether a host has GPUs, from the settings and the PCI bus."""

from __future__ import annotations

from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

FACT = "nvidia_cards"
DRIVER_OF_JETSON = "NVIDIA Jetson: its driver comes with JetPack"


def needs_gpu(snapshot: Snapshot, settings: Settings) -> bool:
    """`gpu = "auto"`: whether a card is on the PCI bus, or was at the last deploy.

    Raises NotRead if the bus could not be read.
    """
    if settings.gpu == "auto":
        if is_jetson(snapshot):
            return False
        return snapshot.nvidia.present or bool(cards_on_record(snapshot))
    return settings.gpu == "required"


def reason_without_driver(snapshot: Snapshot, settings: Settings) -> str:
    """Why no check of the driver applies to this host; empty if they do."""
    if settings.gpu == "none":
        return 'gpu is "none"'
    if is_jetson(snapshot):
        return DRIVER_OF_JETSON
    return "" if snapshot.nvidia.present else "no NVIDIA card on the bus"


def is_jetson(snapshot: Snapshot) -> bool:
    """Whether the host is a Jetson, whose GPU is not judged; False if that is not known."""
    try:
        return snapshot.system.jetson
    except NotRead:
        return False


def cards_on_record(snapshot: Snapshot) -> int:
    """How many cards the last deploy found: a card that is lost leaves no other trace."""
    count = snapshot.applied.facts.get(FACT) if snapshot.applied else 0
    return count if isinstance(count, int) else 0


def on_record(snapshot: Snapshot, settings: Settings) -> dict[str, int]:
    """What the host records of its cards. Raises NotRead."""
    if settings.gpu == "none" or is_jetson(snapshot):
        return {FACT: 0}
    cards = len(snapshot.nvidia.gpus) or len(snapshot.nvidia.answering)
    # A lost card is a fault: a deploy without it does not forget it, unless it was removed, which
    # a declared number says.
    return {FACT: cards if settings.gpu_count else max(cards, cards_on_record(snapshot))}
