"""Whether a host has GPUs, from the settings and the PCI bus."""

from __future__ import annotations

from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

FACT = "nvidia_cards"
BOARD = "NVIDIA Jetson"
JETSON = "NVIDIA Jetson: its driver comes with JetPack"


def needs_gpu(snapshot: Snapshot, settings: Settings) -> bool:
    """`gpu = "auto"`: whether a card is on the PCI bus, or was at the last deploy.

    Raises NotRead if the bus could not be read.
    """
    if settings.gpu == "auto":
        if jetson(snapshot):
            return False
        return snapshot.nvidia.present or bool(cards_on_record(snapshot))
    return settings.gpu == "required"


def reason_without_driver(snapshot: Snapshot, settings: Settings) -> str:
    """Why no check of the driver applies to this host; empty if they do."""
    if settings.gpu == "none":
        return 'gpu is "none"'
    if reason := jetson(snapshot):
        return reason
    return "" if snapshot.nvidia.present else "no NVIDIA card on the bus"


def jetson(snapshot: Snapshot) -> str:
    """Why a Jetson's GPU is not judged: JetPack brings its driver, and an nvidia-smi that knows
    few of its values; empty on other hosts."""
    try:
        return JETSON if snapshot.system.board.startswith(BOARD) else ""
    except NotRead:
        return ""


def cards_on_record(snapshot: Snapshot) -> int:
    """How many cards the last deploy found: a card that is lost leaves no other trace."""
    count = snapshot.applied.facts.get(FACT) if snapshot.applied else 0
    return count if isinstance(count, int) else 0


def on_record(snapshot: Snapshot, settings: Settings) -> dict[str, int]:
    """What the host records of its cards. Raises NotRead."""
    if settings.gpu == "none" or jetson(snapshot):
        return {FACT: 0}
    cards = len(snapshot.nvidia.gpus) or len(snapshot.nvidia.answering)
    # A lost card is a fault: a deploy without it does not forget it, unless it was removed, which
    # a declared number says.
    return {FACT: cards if settings.gpu_count else max(cards, cards_on_record(snapshot))}
