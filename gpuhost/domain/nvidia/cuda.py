"""Whether containers with a given CUDA run on this driver and these cards, by which rule, or which
driver is needed."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from enum import Enum

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.image_gate import (
    PUBLISHED_GATES,
    Gate,
    image_gate,
    published_requirement,
)
from gpuhost.domain.nvidia.toolkits import (
    BRANCH_CUDA,
    MINOR_VERSION_FLOOR,
    RECOMMENDED_BRANCHES,
    driver_cuda,
    minimum_driver,
)
from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion, DriverVersion


class Rule(Enum):
    """The rule that decided, in the order in which they are tried."""

    NO_CARD = "no card"
    NO_DRIVER = "no driver"
    CARD_TOO_OLD = "card too old for that CUDA"
    CARD_TOO_NEW = "card too new for that CUDA"
    DRIVER_UNFIT = "driver does not drive the card"
    NATIVE = "native"
    MINOR_COMPAT = "minor-version compatibility"
    FORWARD_COMPAT = "forward compatibility"
    UPGRADE = "driver too old"

    @property
    def runs(self) -> bool:
        """Whether containers with the requested CUDA run."""
        return self in (Rule.NATIVE, Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT)


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
            Rule.NO_CARD, requested, "There is no NVIDIA card that is known.", None, None, None
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
        notes=tuple(_notes(rule, driver, cards, requested)),
        refused=_refused(rule, driver, cards, requested),
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
            f"No driver serves both cards: the {conflict[0]} works with the proprietary kernel "
            f"modules only, the {conflict[1]} with the open ones only.",
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
            f"Driver {driver} brings CUDA {own}; CUDA {requested} runs on it by minor-version "
            f"compatibility ({floor} or later).",
        )
    if _is_forward_compatible(driver, cards, requested):
        return (
            Rule.FORWARD_COMPAT,
            f"Driver {driver} brings CUDA {own}; CUDA {requested} runs on it by forward "
            "compatibility, in images that carry the cuda-compat package.",
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
                f"CUDA {requested} does not support the {card}; the last that does is {last}, "
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
        f"branch {last} is its last"
        if last is not None and driver.branch > last
        else f"it needs branch {card.architecture.first_branch} or later"
    )
    return f"Driver {driver} does not drive the {card}: {limit}; {_would_do(cards, requested)}."


def _would_do(cards: Sequence[Card], requested: CudaVersion) -> str:
    if misfit := _card_misfit(cards, requested):
        return f"none would do: {misfit[1].rstrip('.')}"
    needed, branch = needed_driver(cards, requested), recommended_branch(cards, requested)
    if needed is None or branch is None:
        return "no driver that is known runs it on " + ", ".join(sorted({str(c) for c in cards}))
    return f"it takes {needed} or later, best of branch {branch}"


def _is_native(driver: DriverVersion, requested: CudaVersion) -> bool:
    minimum = minimum_driver(requested)
    return minimum is not None and driver >= minimum


def _is_forward_compatible(
    driver: DriverVersion, cards: Sequence[Card], requested: CudaVersion
) -> bool:
    """By the branches that NVIDIA's images of that CUDA, or the last before it, let in."""
    gates = [
        cuda
        for cuda in PUBLISHED_GATES
        if cuda <= requested.release and cuda.major == requested.major
    ]
    return (
        _crosses_major(driver, requested)
        and bool(gates)
        and driver.branch in PUBLISHED_GATES[max(gates)].branches
        and _data_center(cards)
    )


def _crosses_major(driver: DriverVersion | None, requested: CudaVersion) -> bool:
    own = driver_cuda(driver) if driver else None
    return own is not None and own.major < requested.major


def _data_center(cards: Sequence[Card]) -> bool:
    return all(card.data_center for card in cards)


def _offer(driver: DriverVersion | None, cards: Sequence[Card]) -> CudaVersion | None:
    own = driver_cuda(driver) if driver else None
    if driver is None or own is None or driver.branch not in branches(cards):
        return None
    lasts = [card.architecture.last_cuda for card in cards]
    return min([own, *(last for last in lasts if last is not None)])


def _notes(
    rule: Rule, driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion
) -> list[str]:
    notes = []
    if any(card.modules is Modules.OPEN for card in cards):
        notes.append("This card works with the open kernel modules only.")
    if any(card.architecture.name == "Kepler" for card in cards):
        notes.append("Kepler: branch 470 is its last driver and CUDA 11.8 its last CUDA.")
    if rule.runs and any(requested.release < card.architecture.first_cuda for card in cards):
        notes.append(
            f"CUDA {requested} does not know the card itself; it runs code built for older chips "
            "of the same major compute capability."
        )
    # PyTorch issue tracker, RFC 190385 and the 2.8 release notes.
    old = [card for card in cards if card.architecture.capability < ComputeCapability(7, 5)]
    if old and requested >= CudaVersion(12, 8):
        notes.append(f"PyTorch's wheels for the {old[0].model} are those of CUDA 12.6 (cu126).")
    if rule is Rule.MINOR_COMPAT:
        notes.append(
            "Minor-version compatibility compiles no newer PTX, and functions that are new in "
            f"CUDA {requested.release} fail."
        )
    if driver is not None and rule in (Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT):
        notes += _gate_notes(driver, _refused(rule, driver, cards, requested), requested)
    if rule is Rule.UPGRADE and _crosses_major(driver, requested) and not _data_center(cards):
        notes.append(
            "Images with cuda-compat end with error 804 here: forward compatibility is for "
            "data-center cards."
        )
    return notes


def _refused(
    rule: Rule, driver: DriverVersion | None, cards: Sequence[Card], requested: CudaVersion
) -> Card | None:
    requirement = published_requirement(requested)
    if driver is None or requirement is None:
        return None
    if rule not in (Rule.MINOR_COMPAT, Rule.FORWARD_COMPAT):
        return None
    return next(
        (
            card
            for card in cards
            if image_gate(requirement, driver, card.brand).gate is Gate.REFUSES
        ),
        None,
    )


def _gate_notes(driver: DriverVersion, refused: Card | None, requested: CudaVersion) -> list[str]:
    if published_requirement(requested) is None:
        return []
    if refused is None:
        return [
            f"NVIDIA's images of CUDA {requested.release} accept driver branch {driver.branch}."
        ]
    return [
        f"NVIDIA's images of CUDA {requested.release} refuse driver branch {driver.branch} on the "
        f"{refused.model} where the hook checks: set NVIDIA_DISABLE_REQUIRE=1 on the container, "
        "or upgrade the driver."
    ]
