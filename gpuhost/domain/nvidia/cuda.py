"""Whether containers with a given CUDA run on this driver and these cards, by which rule, or which
driver is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpuhost.domain.nvidia.branches import branches, needed_driver, recommended_branch
from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.cuda_notes import notes_for, refusing_card
from gpuhost.domain.nvidia.cuda_rule import Rule, are_data_center, crosses_major
from gpuhost.domain.nvidia.image_gate import PUBLISHED_GATES
from gpuhost.domain.nvidia.toolkits import MINOR_VERSION_FLOOR, driver_cuda, minimum_driver
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion


@dataclass(frozen=True)
class Decision:
    """The rule that decided, and what follows from it.

    + reason: one sentence for a person
    + offer: the newest CUDA that this driver and these cards run natively; None: none
    + needed: the lowest driver that would run the requested CUDA on these cards; None: none can
    + branch: the driver branch to install for it; None: none can
    + notes: what else to know, a sentence each
    + refused: the card on which NVIDIA's images of that CUDA refuse this driver, although it would
      run them; None: none
    """

    rule: Rule
    requested: CudaVersion
    reason: str
    offer: CudaVersion | None
    needed: DriverVersion | None
    branch: int | None
    notes: tuple[str, ...] = ()
    refused: Card | None = None


def decide(driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion) -> Decision:
    """Decide whether the requested CUDA runs, and by which rule.

    + driver: the host's driver; None: no driver
    + cards: the host's cards, all of which must run it
    + requested: the CUDA of the containers

    The order is that of NVIDIA's "CUDA Compatibility": cards, native, minor-version compatibility
    within a major version, forward compatibility across them (data-center cards alone).

    **Example:** a P40 with driver 535.183.01 runs CUDA 12.1 natively, and 12.6 by minor-version
    compatibility; for CUDA 13.0 it is too old, whatever the driver.
    """
    if not cards:
        return Decision(
            Rule.NO_CARD, requested, "gpuhost knows no NVIDIA card of this host.", None, None, None
        )
    rule, reason = _rule(driver, cards, requested)
    hopeless = rule in (Rule.CARD_TOO_OLD, Rule.CARD_TOO_NEW) or _card_misfit(cards, requested)
    return Decision(
        rule=rule,
        requested=requested,
        reason=reason,
        offer=_offer(driver, cards),
        needed=None if hopeless else needed_driver(cards, requested),
        branch=None if hopeless else recommended_branch(cards, requested),
        notes=tuple(notes_for(rule, driver, cards, requested)),
        refused=refusing_card(rule, driver, cards, requested),
    )


def _rule(
    driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion
) -> tuple[Rule, str]:
    if driver is None:
        return Rule.NO_DRIVER, f"No driver is loaded; {_would_do(cards, requested)}."
    if misfit := _card_misfit(cards, requested):
        return misfit
    if conflict := module_conflict(cards):
        return (
            Rule.DRIVER_UNFIT,
            f"No driver works with both cards: the {conflict[0]} needs the proprietary kernel "
            f"modules, the {conflict[1]} the open ones.",
        )
    if unfit := next((c for c in cards if driver.branch not in branches([c])), None):
        return Rule.DRIVER_UNFIT, _unfit(driver, unfit, cards, requested)
    if _is_native(driver, requested):
        return Rule.NATIVE, f"Driver {driver} runs CUDA {requested} natively."
    own = driver_cuda(driver)
    floor = MINOR_VERSION_FLOOR.get(requested.major)
    if own and own.major == requested.major and floor and driver >= floor:
        return (
            Rule.MINOR_COMPAT,
            f"Driver {driver} includes CUDA {own}; CUDA {requested} runs on it by minor-version "
            f"compatibility ({floor} or later).",
        )
    if _is_forward_compatible(driver, cards, requested):
        return (
            Rule.FORWARD_COMPAT,
            f"Driver {driver} includes CUDA {own}; CUDA {requested} runs on it by forward "
            "compatibility, in images with the package cuda-compat.",
        )
    return Rule.UPGRADE, f"Driver {driver} is too old for CUDA {requested}; " + (
        f"{_would_do(cards, requested)}."
    )


def _card_misfit(cards: Sequence[Card], requested: CudaVersion) -> tuple[Rule, str] | None:
    for card in cards:
        last, first = card.architecture.last_cuda, card.architecture.runs_from
        if last is not None and requested.release > last:
            return (
                Rule.CARD_TOO_OLD,
                f"CUDA {requested} does not support the {card}; the last one that does is {last}, "
                f"with driver branch {card.architecture.last_branch} at most.",
            )
        if requested.release < first:
            return (
                Rule.CARD_TOO_NEW,
                f"CUDA {requested} has no code for the {card}; it needs CUDA "
                f"{card.architecture.first_cuda} or later.",
            )
    return None


def _unfit(driver: DriverVersion, card: Card, cards: Sequence[Card], requested: CudaVersion) -> str:
    last = card.architecture.last_branch
    limit = (
        f"branch {last} is its last one"
        if last is not None and driver.branch > last
        else f"it needs branch {card.architecture.first_branch} or later"
    )
    return f"Driver {driver} does not drive the {card}: {limit}; {_would_do(cards, requested)}."


def _would_do(cards: Sequence[Card], requested: CudaVersion) -> str:
    if misfit := _card_misfit(cards, requested):
        return f"no driver runs it: {misfit[1].rstrip('.')}"
    needed, branch = needed_driver(cards, requested), recommended_branch(cards, requested)
    if needed is None or branch is None:
        return "no known driver runs it on " + ", ".join(sorted({str(c) for c in cards}))
    return f"it needs {needed} or later, best from branch {branch}"


def _is_native(driver: DriverVersion, requested: CudaVersion) -> bool:
    minimum = minimum_driver(requested)
    if minimum is None:
        # Newer than the table: what the driver reports decides.
        return driver.cuda is not None and driver.cuda >= requested.release
    return driver >= minimum


def _is_forward_compatible(
    driver: DriverVersion, cards: Sequence[Card], requested: CudaVersion
) -> bool:
    """Whether NVIDIA's images of that CUDA, or of the last one before it, accept the branch."""
    gates = [
        cuda
        for cuda in PUBLISHED_GATES
        if cuda <= requested.release and cuda.major == requested.major
    ]
    return (
        crosses_major(driver, requested)
        and bool(gates)
        and driver.branch in PUBLISHED_GATES[max(gates)].branches
        and are_data_center(cards)
    )


def _offer(driver: DriverVersion | None, cards: Sequence[Card]) -> CudaVersion | None:
    own = driver_cuda(driver) if driver else None
    if driver is None or own is None or driver.branch not in branches(cards):
        return None
    lasts = [card.architecture.last_cuda for card in cards]
    return min([own, *(last for last in lasts if last is not None)])
