"""Which driver branch and kernel modules to install on a host's cards, from what an archive has."""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.branches import branches, recommended_branch
from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.toolkits import RECOMMENDED_BRANCHES
from gpuhost.domain.nvidia.version import CudaVersion

# NVIDIA recommends the open modules, where they are a choice, since R560.
OPEN_SINCE = 560
# Debian's package tracker, 2026: one branch a release.
DEBIAN_BRANCH = {"12": 535, "13": 550}
# Ubuntu's package pages, 2026: server branches that are no transitional packages.
UBUNTU_BRANCHES = {
    "22.04": (470, 535, 580, 595),
    "24.04": (470, 535, 580, 595),
    "26.04": (580, 595),
}
# NVIDIA's repository: branches before 580 have no pinning package; 26.04 began with 590.
NVIDIA_FIRST_BRANCH = {"debian12": 580, "debian13": 580, "ubuntu2204": 580, "ubuntu2404": 580}
NVIDIA_FIRST_BRANCH_ELSEWHERE = 590


class Flavour(Enum):
    """The kernel modules to install."""

    PROPRIETARY = "proprietary"
    OPEN = "open"


class NoDriverPackagesError(ValueError):
    """No packages can drive these cards; the text is a sentence for a person."""


def module_flavour(cards: Sequence[Card], branch: int) -> Flavour:
    """The kernel modules for these cards.

    Maxwell, Pascal and Volta take the proprietary ones, Blackwell and Grace Hopper the open ones;
    between them either works, and NVIDIA recommends the open ones since R560 (technical blog,
    "Transitions fully towards open-source GPU kernel modules").

    Raises NoDriverPackagesError, naming both cards, when one needs what the other refuses.
    """
    _refuse_module_conflict(cards)
    modules = {card.modules for card in cards}
    if Modules.PROPRIETARY in modules:
        return Flavour.PROPRIETARY
    return Flavour.OPEN if Modules.OPEN in modules or branch >= OPEN_SINCE else Flavour.PROPRIETARY


def _refuse_module_conflict(cards: Sequence[Card]) -> None:
    if conflict := module_conflict(cards):
        closed, opened = conflict
        raise NoDriverPackagesError(
            f"no driver works with both cards: the {closed} needs the proprietary kernel modules, "
            f"the {opened} the open ones; put them into different hosts"
        )


def choose_branch(
    cards: Sequence[Card],
    offered: Sequence[int],
    branch: int | None,
    cuda: CudaVersion | None,
    where: str,
) -> int:
    _refuse_module_conflict(cards)
    names = ", ".join(sorted({str(card) for card in cards}))
    fitting = [each for each in offered if each in branches(cards)]
    if branch is not None:
        if branch in fitting:
            return branch
        why = "it does not exist" if branch not in offered else f"it does not support {names}"
        raise NoDriverPackagesError(
            f"{where}: driver branch {branch} is declared, but {why} (available: "
            f"{_listed(offered)}; for these cards: {_listed(fitting)})"
        )
    best = recommended_branch(cards, cuda)
    preferred = [best] if best else []
    for each in [*preferred, *RECOMMENDED_BRANCHES, *sorted(fitting, reverse=True)]:
        if each in fitting:
            return each
    raise NoDriverPackagesError(
        f"{where} has no driver for {names} (available branches: {_listed(offered)})"
    )


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"
