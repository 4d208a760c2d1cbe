"""Other drivers of the kernel that take an NVIDIA card, so that NVIDIA's cannot."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.version import ComputeCapability


@dataclass(frozen=True)
class Rival:
    """A driver that has to be kept off the cards.

    + driver: its name on the PCI bus
    + modules: the modules to keep from being loaded; the first one drives the cards
    + claims_from: the oldest compute capability that it takes by itself; None: any
    + waits: it takes a card only when it is loaded by hand
    """

    driver: str
    modules: tuple[str, ...]
    claims_from: ComputeCapability | None = None
    waits: bool = False


# nova_core: linux drivers/gpu/nova-core; Ubuntu 26.04's first kernels load it for every card, and
# it keeps those of Turing and later (older chips are refused when it looks at them).
# nvidiafb: linux drivers/video/fbdev/nvidia; Debian and Ubuntu blacklist all framebuffer drivers.
RIVALS = (
    Rival("nouveau", ("nouveau",)),
    Rival("NovaCore", ("nova_core", "nova_drm", "nova"), ComputeCapability(7, 5)),
    Rival("nvidiafb", ("nvidiafb",), waits=True),
)
MODULES = tuple(module for rival in RIVALS for module in rival.modules)


def rival_of(driver: str) -> Rival | None:
    """The rival with this name on the PCI bus, or with this module; None: unknown to gpuhost."""
    return next((r for r in RIVALS if driver in (r.driver, *r.modules)), None)


def may_claim(rival: Rival, cards: Iterable[Card | None]) -> bool:
    """Whether the rival, once loaded, takes one of these cards; None is one that is not known."""
    oldest = rival.claims_from
    if rival.waits:
        return False
    return any(
        card is None or oldest is None or card.architecture.capability >= oldest for card in cards
    )
