"""Display cards beside compute cards: which cards count, and which are left out.

A console card must not decide which driver a compute card gets, or be waited for in a container.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.branches import branches
from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.toolkits import BRANCH_END


def is_served(card: Card, branch: int, open_modules: bool | None) -> bool:
    """Whether the loaded driver drives the card.

    + open_modules: which kernel modules are loaded; None: unknown
    """
    last = card.architecture.last_branch
    if last is not None and branch > last:
        return False
    refused = {True: Modules.PROPRIETARY, False: Modules.OPEN, None: None}[open_modules]
    return card.modules is not refused


def is_obsolete(card: Card) -> bool:
    """No branch that NVIDIA has supported lately drives the card, and nobody bought it for CUDA."""
    last = card.architecture.last_branch
    return not card.data_center and last is not None and last < min(BRANCH_END)


def left_out(cards: Sequence[Card | None]) -> frozenset[int]:
    """Which of a host's cards, by position, get no driver; None is a card that is not known.

    Obsolete display cards, always; current display cards (a GT 1030) only if no driver drives them
    together with the other cards.
    """
    obsolete = {i for i, card in enumerate(cards) if card and is_obsolete(card)}
    rest = {i: card for i, card in enumerate(cards) if card and i not in obsolete}
    display = {i for i, card in rest.items() if card.display}
    if driven_together(rest.values()) or len(display) == len(rest):
        return frozenset(obsolete)
    others = [card for i, card in rest.items() if i not in display]
    return frozenset(obsolete | display if driven_together(others) else obsolete)


def without_display(cards: Sequence[Card]) -> tuple[Card, ...]:
    """The cards that are meant for computing; all of them if none is."""
    return tuple(card for card in cards if not card.display) or tuple(cards)


def driven_together(cards: Iterable[Card]) -> bool:
    """Whether there is a driver for all of them."""
    allowed = branches(list(cards))
    return allowed.last is None or allowed.first <= allowed.last


def why_left_out(card: Card, branch: int | None, *, together: bool) -> str:
    """The reason in a few words.

    + branch: that of the driver in use; None: there is none
    + together: another driver drives it and the others
    """
    last = card.architecture.last_branch
    if last is not None and (is_obsolete(card) or (branch or 0) > last):
        return f"{card.architecture.name}: driver branch {last} is its last"
    if together:
        return f"{card.architecture.name}: the kernel modules in use do not drive it"
    return f"{card.architecture.name}: no driver serves it together with the other cards"
