"""The cards: their properties, found by the name that nvidia-smi prints or the compute capability.

Names are those of the driver ("NVIDIA A800-SXM4-80GB", "Tesla P40", "GRID T4-16Q"); the model is
the name without the makers' prefixes, memory sizes and form factors.
"""

from __future__ import annotations

import re
from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpuhost.domain.nvidia.architectures import Architecture, Modules, architecture
from gpuhost.domain.nvidia.card_models import (
    CONSUMER,
    DATA_CENTER,
    DISPLAY,
    OPEN_ONLY,
    WORKSTATION,
    Brand,
)
from gpuhost.domain.nvidia.version import ComputeCapability
from gpuhost.domain.nvidia.vgpu import models, profile

PREFIXES = frozenset({"NVIDIA", "TESLA", "GEFORCE", "QUADRO", "GRID"})


@dataclass(frozen=True)
class Card:
    """A card, as far as drivers and CUDA are concerned.

    + model: its name without prefixes, memory size and form factor, such as "A100" or "RTX 4090"
    + data_center: NVIDIA lists it as a data-center GPU; only these may use forward compatibility
    + vgpu: the type of a virtual GPU, such as "V100D-8C"; "": the whole card
    """

    model: str
    architecture: Architecture
    brand: Brand = Brand.UNKNOWN
    data_center: bool = False
    vgpu: str = ""

    @property
    def display(self) -> bool:
        """It is made for monitors; too small to be bought for CUDA."""
        return self.model in DISPLAY

    @property
    def modules(self) -> Modules:
        """The kernel modules that drive it; Grace Hopper needs the open ones."""
        return Modules.OPEN if self.model in OPEN_ONLY else self.architecture.modules

    def __str__(self) -> str:
        name = f"{self.vgpu}, a vGPU of the {self.model}" if self.vgpu else self.model
        return f"{name} ({self.architecture.name}, {self.architecture.capability})"


def _cards() -> dict[tuple[str, ...], Card]:
    cards = {}
    for families, data_center in ((DATA_CENTER, True), (WORKSTATION, False), (CONSUMER, False)):
        for family in families:
            chip = architecture(ComputeCapability.parse(family.capability))
            if chip is None:
                raise LookupError(f"no architecture has compute capability {family.capability}")
            for model in family.models:
                cards[_words(model)] = Card(model, chip, family.brand, data_center)
    return cards


def _words(name: str) -> tuple[str, ...]:
    """A name's words without prefixes; form factors hang on by hyphens: A100-SXM4-80GB."""
    words = re.split(r"[\s\-_/(),]+", name.upper())
    return tuple(word for word in words if word and word not in PREFIXES)


CARDS = _cards()


def card_named(name: str) -> Card | None:
    """The card of a name that nvidia-smi or lspci prints; None when no known model begins it.

    **Example:** ``card_named("NVIDIA A800-SXM4-80GB")`` is the A800, and that of "GRID V100D-8C"
    is a virtual GPU of the V100.
    """
    if vgpu := profile(name):
        known = next((card for card in map(_longest, models(name)) if card), None)
        return replace(known, vgpu=vgpu) if known else None
    return _longest(name)


def _longest(name: str) -> Card | None:
    words = _words(name)
    for length in range(len(words), 0, -1):
        if card := CARDS.get(words[:length]):
            return card
    return None


def identify(name: str | None, compute_capability: str | None = None) -> Card | None:
    """The card that nvidia-smi reported.

    + name: what it printed for `name`
    + compute_capability: what it printed for `compute_cap`, more reliable; drivers before
      R510 do not know the field
    """
    known = card_named(name) if name else None
    if compute_capability is None:
        return known
    try:
        reported = architecture(ComputeCapability.parse(compute_capability))
    except ValueError:
        return known
    if reported is None or (known is not None and known.architecture == reported):
        return known
    return Card(name or str(reported), reported, vgpu=profile(name or ""))


def module_conflict(cards: Sequence[Card]) -> tuple[Card, Card] | None:
    """Two of the cards that no driver serves together: one needs the proprietary kernel modules,
    the other the open ones."""
    closed = next((card for card in cards if card.modules is Modules.PROPRIETARY), None)
    opened = next((card for card in cards if card.modules is Modules.OPEN), None)
    return (closed, opened) if closed and opened else None
