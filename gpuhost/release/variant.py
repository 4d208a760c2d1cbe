"""Which variant of an app a host gets: with a card or without one, and why."""

from __future__ import annotations

from dataclasses import dataclass, field, replace

from gpuhost.appfile.gpu import Gpu as Needed
from gpuhost.appfile.gpu import Variant
from gpuhost.appfile.model import XGpuhost
from gpuhost.domain.nvidia.driver_state import SENTENCES
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.release.cards import has_id, mismatch
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# A part of a card that MIG cut; nvidia-smi's list of cards does not have it.
MIG = "MIG-"


@dataclass(frozen=True)
class Reservation:
    """What a service gets: so many cards (None: all), or those named.

    + card: the first of them, as nvidia-smi reported it
    """

    card: Gpu
    count: int | None = None
    device_ids: tuple[str, ...] = ()


@dataclass(frozen=True)
class ChosenVariant:
    """How an app runs on one host.

    + why: in words, for the plan and the log
    + without_card: what the user's file reserves of cards has to go
    """

    with_gpu: bool
    why: str
    profiles: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    without_card: bool = False

    @property
    def sentence(self) -> str:
        """ "without a card (compute capability 6.1 of Tesla P40 < 7.0)"."""
        return f"{'with' if self.with_gpu else 'without'} a card ({self.why})"


@dataclass(frozen=True)
class NoVariant:
    """The app cannot run on this host, and the reason by name."""

    reason: str


def choose_variant(
    block: XGpuhost, snapshot: Snapshot, settings: Settings
) -> ChosenVariant | NoVariant:
    """The variant for a host.

    With a card that fits every service that asks for one, `with_gpu`; else `without_gpu`, if the
    app has it; else the app is refused. Where `gpu = "required"`, a host without a working card is
    refused too. Cards that could not be read are no reason to do without them: that is refused.
    """
    needed = {
        name: need for name, need in block.gpu.items() if name not in block.with_gpu.leave_out
    }
    if not needed:
        return _choice(block.without_gpu or Variant(), with_gpu=False, why="it asks for no card")
    try:
        absent = _no_cards(snapshot, settings)
        found = absent or _reservations(needed, snapshot)
    except NotRead as error:
        return NoVariant(f"whether there is a card could not be read: {error}")
    if not isinstance(found, str):
        why = "; ".join(f"{name}: {_shown(one)}" for name, one in found.items())
        return _choice(block.with_gpu, with_gpu=True, why=why, reservations=found)
    if block.without_gpu is None:
        return NoVariant(f"{found}, and the app has no variant without_gpu")
    if absent and settings.gpu == "required":
        return NoVariant(f'{found}, and gpu is "required"')
    choice = _choice(block.without_gpu, with_gpu=False, why=found)
    return replace(choice, without_card=True)


def _choice(
    variant: Variant,
    *,
    with_gpu: bool,
    why: str,
    reservations: dict[str, Reservation] | None = None,
) -> ChosenVariant:
    return ChosenVariant(
        with_gpu,
        why,
        variant.profiles,
        variant.leave_out,
        variant.environment,
        reservations or {},
    )


def _shown(reserved: Reservation) -> str:
    if reserved.device_ids:
        return f"{reserved.card.name} {', '.join(reserved.device_ids)}"
    if reserved.count is None:
        return f"all cards, {reserved.card.name}"
    return f"{reserved.count} x {reserved.card.name}"


def _no_cards(snapshot: Snapshot, settings: Settings) -> str:
    """Why there is no card to speak of; "" if there is one that answers."""
    if settings.gpu == "none":
        return 'gpu is "none"'
    if not snapshot.nvidia.present:
        return "the host has no NVIDIA card"
    if not snapshot.nvidia.works:
        state = snapshot.nvidia.diagnosis.state
        return f"the driver does not answer: {state.value}. {SENTENCES[state][0].rstrip('.')}"
    return "" if snapshot.nvidia.answering else "nvidia-smi lists no card"


def _reservations(needed: dict[str, Needed], snapshot: Snapshot) -> dict[str, Reservation] | str:
    """By service, or the first reason why not."""
    found = {}
    for service, need in needed.items():
        reserved = _reservation(need, snapshot)
        if isinstance(reserved, str):
            return f"{reserved} wanted by service {service}"
        found[service] = reserved
    return found


def _reservation(need: Needed, snapshot: Snapshot) -> Reservation | str:
    if need.device_ids:
        return _by_id(need, snapshot)
    cards = snapshot.nvidia.answering
    reasons = {gpu.index: mismatch(gpu, need, snapshot) for gpu in cards}
    fitting = [gpu for gpu in cards if not reasons[gpu.index]]
    if not fitting:
        return next(reason for reason in reasons.values() if reason)
    if need.count is not None and need.count > len(fitting):
        others = "; ".join(reason for reason in reasons.values() if reason)
        return f"{len(fitting)} of {need.count} cards" + (f" ({others})" if others else "") + ","
    wanted = fitting[: need.count]
    if wanted == list(cards[: need.count]):
        return Reservation(wanted[0], need.count)
    # A number would get the first cards, whether or not they fit.
    return Reservation(wanted[0], None, tuple(gpu.uuid for gpu in wanted))


def _by_id(need: Needed, snapshot: Snapshot) -> Reservation | str:
    cards = []
    for device in need.device_ids:
        if device.startswith(MIG):
            parts = [gpu for gpu in snapshot.nvidia.answering if gpu.mig]
        else:
            parts = [gpu for gpu in snapshot.nvidia.answering if has_id(gpu, device)]
        if not parts:
            return f"there is no device {device}, which is"
        cards.append(parts[0])
        # The memory of a part is not that of its card.
        asked = need if not device.startswith(MIG) else need.model_copy(update={"vram_gb": None})
        if reason := mismatch(parts[0], asked, snapshot):
            return reason
    return Reservation(cards[0], None, need.device_ids)
