"""Which driver branches drive a host's cards, and which of them to install."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.toolkits import (
    BRANCH_CUDA,
    MINOR_VERSION_FLOOR,
    RECOMMENDED_BRANCHES,
    minimum_driver,
)
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion


@dataclass(frozen=True)
class Branches:
    """The driver branches that drive all of a host's cards; last None: no end."""

    first: int
    last: int | None

    def __contains__(self, branch: int) -> bool:
        return self.first <= branch and (self.last is None or branch <= self.last)


def branches(cards: Sequence[Card]) -> Branches:
    """The driver branches for these cards; none (first > last) when no driver drives them all."""
    if module_conflict(cards):
        return Branches(1, 0)
    lasts = [card.architecture.last_branch for card in cards]
    return Branches(
        max((card.architecture.first_branch for card in cards), default=0),
        min((last for last in lasts if last is not None), default=None),
    )


def recommended_branch(cards: Sequence[Card], requested: CudaVersion | None = None) -> int | None:
    """The branch to install: the one with the longest support that drives all these cards.

    + requested: the CUDA that it must run; None: any

    A newer branch only where the CUDA needs it; one that runs it natively before one that runs it
    by minor-version compatibility.
    """
    fitting = [branch for branch in RECOMMENDED_BRANCHES if branch in branches(cards)]
    if requested is None:
        return next(iter(fitting), None)
    native = (branch for branch in fitting if BRANCH_CUDA[branch] >= requested.release)
    compatible = (branch for branch in fitting if BRANCH_CUDA[branch].major >= requested.major)
    return next(native, None) or next(compatible, None)


def needed_driver(cards: Sequence[Card], requested: CudaVersion) -> DriverVersion | None:
    """The lowest driver that runs the requested CUDA on these cards; None when no driver does."""
    allowed = branches(cards)
    for driver in (minimum_driver(requested), MINOR_VERSION_FLOOR.get(requested.major)):
        if driver is None:
            continue
        if driver.branch < allowed.first:
            driver = DriverVersion((allowed.first,), str(allowed.first))
        if driver.branch in allowed:
            return driver
    return None
