"""Why an installed driver does not drive a host's cards, although it is there: no reboot helps."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.branches import branches
from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.display import driven_together, is_obsolete
from gpuhost.domain.nvidia.driver_state import DriverState
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.refusals import KNOWN_CHIP, LOCKED_DOWN, UNKNOWN_CARD, Refusal
from gpuhost.domain.nvidia.xid import CardError
from gpuhost.snapshot import NotRead, Snapshot

# In the others the driver has begun to drive a card.
STATES = (
    DriverState.MODULE_NOT_LOADED,
    DriverState.NO_DEVICES,
    DriverState.LIBRARY_MISMATCH,
)


def unfit(snapshot: Snapshot) -> str:
    """Why no card can work with the driver of the next boot, or with the loaded kernel modules;
    empty if one can."""
    return unfit_branch(snapshot) or wrong_modules(snapshot)


def unfit_branch(snapshot: Snapshot) -> str:
    """Why the driver of the next boot drives none of the cards; empty if it drives one."""
    nvidia = snapshot.nvidia
    driver, cards = nvidia.driver, nvidia.cards
    if nvidia.diagnosis.state not in STATES or driver is None or nvidia.unknown_cards:
        return ""
    if not cards or any(driver.branch in branches([card]) for card in cards):
        return ""
    return f"driver {driver} does not drive the {cards[0]}: {_limit(cards[0], driver.branch)}"


def _limit(card: Card, branch: int) -> str:
    first, last = card.architecture.first_branch, card.architecture.last_branch
    return f"branch {first} is its first" if branch < first else f"branch {last} is its last"


def wrong_modules(snapshot: Snapshot) -> str:
    """Why the kernel modules, loaded or else on disk, do not drive these cards; empty: they do."""
    if snapshot.nvidia.diagnosis.state not in STATES:
        return ""
    loaded = snapshot.nvidia.module
    is_open = loaded.is_open if loaded else _open_on_disk(snapshot)
    if is_open is None:
        return ""
    refused = Modules.PROPRIETARY if is_open else Modules.OPEN
    kind = "open" if is_open else "proprietary"
    misfit = next((card for card in snapshot.nvidia.cards if card.modules is refused), None)
    return f"the {kind} kernel modules do not drive the {misfit}" if misfit else ""


def wasted_cards(snapshot: Snapshot) -> tuple[Card, ...]:
    """Cards for computing that the working driver leaves out, although another one would drive
    them together with the others."""
    wasted = tuple(card for device in snapshot.nvidia.left_out if (card := computes(device)))
    if not snapshot.nvidia.works or not driven_together((*snapshot.nvidia.cards, *wasted)):
        return ()
    return wasted


def computes(device: PciDevice) -> Card | None:
    """The card of a device, if it is meant for computing."""
    card = card_of_device(device.device)
    return card if card and not card.display and not is_obsolete(card) else None


def loads_other_modules(snapshot: Snapshot) -> bool:
    """Whether packages have replaced the loaded kernel modules by those of the other kind."""
    loaded = snapshot.nvidia.module
    return loaded is not None and _packaged_open(snapshot) is (not loaded.is_open)


def _open_on_disk(snapshot: Snapshot) -> bool | None:
    """The kind of the kernel modules on disk; None: unknown."""
    packaged = _packaged_open(snapshot)
    if packaged is not None or snapshot.nvidia.module_packages:
        return packaged
    kinds = {refusal.reason.open_modules for refusal in refusals(snapshot)} - {None}
    return kinds.pop() if len(kinds) == 1 else None


def _packaged_open(snapshot: Snapshot) -> bool | None:
    kinds = {"open" in name for name in snapshot.nvidia.module_packages}
    return kinds.pop() if len(kinds) == 1 else None


def refusals(snapshot: Snapshot) -> tuple[Refusal, ...]:
    """Cards that the driver refused since the boot; a container's log belongs to its host."""
    try:
        found = () if snapshot.system.container else snapshot.kernel_log.refusals
    except NotRead:
        return ()
    return tuple(_judged(snapshot, one) for one in found)


def _judged(snapshot: Snapshot, one: Refusal) -> Refusal:
    """A driver that does not know a card, although its branch drives the chip."""
    device = next((gpu for gpu in snapshot.nvidia.gpus if gpu.card_slot == one.card), None)
    card = card_of_device(device.device) if device else None
    if one.reason is not UNKNOWN_CARD or card is None or one.branch is None:
        return one
    return replace(one, reason=KNOWN_CHIP) if one.branch in branches([card]) else one


def not_started(snapshot: Snapshot, devices: Iterable[PciDevice]) -> CardError | None:
    """The last failure to start one of these cards; None: the kernel's log has none."""
    slots = {"", *(device.card_slot for device in devices)}
    try:
        found = () if snapshot.system.container else snapshot.kernel_log.card_errors
    except NotRead:
        return None
    return next((error for error in found if error.number is None and error.card in slots), None)


def refusal(snapshot: Snapshot) -> Refusal | None:
    """Why the driver on disk took no card; None: it is not known.

    What concerns its version or kind may be over: packages have been installed since.
    """
    is_packaged = snapshot.nvidia.on_disk is not None
    found = sorted(refusals(snapshot), key=lambda one: one.reason is LOCKED_DOWN)
    apart = {device.card_slot for device in snapshot.nvidia.left_out}
    current = (one for one in found if not (one.reason.of_driver and is_packaged))
    return next((one for one in current if one.card not in apart), None)


def two_drivers(snapshot: Snapshot) -> str:
    """The driver of NVIDIA's installer, beside libraries of packages; empty if there is one."""
    nvidia = snapshot.nvidia
    if nvidia.on_disk is None or nvidia.module_packages or snapshot.system.container:
        return ""
    if nvidia.module is None and not snapshot.kernels.nvidia:
        return ""
    loaded = f" {nvidia.module.version}" if nvidia.module else ""
    return (
        f"two drivers: kernel modules{loaded} of an installer, and libraries {nvidia.on_disk} of "
        "packages"
    )
