"""Which variant of an app a host gets: with a card or without one, and why."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass, field, replace

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.model import ComposeFile
from gpuhost.appfile.gpu import Gpu as GpuNeed
from gpuhost.appfile.gpu import Variant
from gpuhost.appfile.model import XGpuhost
from gpuhost.domain.nvidia.driver_state import SENTENCES
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.plans.gpu import is_jetson
from gpuhost.plans.nvidia_health import unusable_cards
from gpuhost.release.cards import has_id, mismatch, unread
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# A MIG device is a part of a card; nvidia-smi's list of cards does not have it.
MIG = "MIG-"


@dataclass(frozen=True)
class Reservation:
    """The cards of a service: a count (None: all) or device IDs.

    + card: the first of them, as nvidia-smi reported it
    + is_decided: they replace what the service's own file reserves
    """

    card: Gpu
    count: int | None = None
    device_ids: tuple[str, ...] = ()
    is_decided: bool = False


@dataclass(frozen=True)
class ChosenVariant:
    """How an app runs on one host.

    + why: for the plan and the log
    + without_card: remove the cards that the user's file reserves
    + disk_gb: free disk that the builds need
    """

    with_gpu: bool
    why: str
    profiles: tuple[str, ...] = ()
    leave_out: tuple[str, ...] = ()
    environment: dict[str, dict[str, str]] = field(default_factory=dict)
    reservations: dict[str, Reservation] = field(default_factory=dict)
    without_card: bool = False
    disk_gb: float = 0

    @property
    def sentence(self) -> str:
        """ "without a card (compute capability 6.1 of Tesla P40 < 7.0)"."""
        return f"{'with' if self.with_gpu else 'without'} a card ({self.why})"


@dataclass(frozen=True)
class NoVariant:
    """The app cannot run on this host, and why."""

    reason: str


def choose_variant(app: App, snapshot: Snapshot, settings: Settings) -> ChosenVariant | NoVariant:
    """The variant for a host.

    `with_gpu` if the cards fit every service that needs one; else `without_gpu` if the app has it;
    else none. With `gpu = "required"`, a host without a working card has no variant either. Cards
    that could not be read never select `without_gpu`. A card that the Compose files reserve counts
    as one in `gpu`.
    """
    always = (*app.files.profiles, *app.block.profiles)
    choice = _choice(app.block, snapshot, settings, _needed(app.block, app.compose, always))
    if isinstance(choice, NoVariant):
        return choice
    return replace(choice, profiles=tuple(dict.fromkeys((*always, *choice.profiles))))


def _needed(
    block: XGpuhost, compose: ComposeFile, profiles: tuple[str, ...]
) -> dict[str, tuple[GpuNeed, bool]]:
    """What services need of cards, and whether the block says which cards they get."""
    active = {*profiles, *block.with_gpu.profiles}
    needed = {}
    for name in {**block.gpu, **compose.services}:
        service, declared = compose.services.get(name), block.gpu.get(name)
        cards = service.cards if service and service.is_started(active) else None
        if name in block.with_gpu.leave_out or (declared is None and cards is None):
            continue
        need = declared or GpuNeed()
        is_decided = need.count is not None or bool(need.device_ids)
        if cards and not is_decided:
            update = {"count": cards.count, "device_ids": _known(cards.device_ids)}
            need = need.model_copy(update=update)
        needed[name] = need, is_decided
    return needed


def _known(device_ids: tuple[str, ...]) -> tuple[str, ...]:
    """Only the host can tell what a variable is."""
    return () if any("$" in device for device in device_ids) else device_ids


def _choice(
    block: XGpuhost,
    snapshot: Snapshot,
    settings: Settings,
    needed: dict[str, tuple[GpuNeed, bool]],
) -> ChosenVariant | NoVariant:
    if not needed:
        return _chosen(
            block, block.without_gpu or Variant(), with_gpu=False, why="no service needs one"
        )
    try:
        absent = _no_cards(snapshot, settings)
        reservations = absent or _reservations(needed, snapshot)
    except NotRead as error:
        return NoVariant(f"the cards could not be read: {error}")
    if not isinstance(reservations, str):
        why = "; ".join(f"{name}: {_described(one)}" for name, one in reservations.items())
        return _chosen(block, block.with_gpu, with_gpu=True, why=why, reservations=reservations)
    if block.without_gpu is None:
        return NoVariant(f"{reservations}, and the app has no variant without_gpu")
    if absent and settings.gpu == "required":
        return NoVariant(f'{reservations}, and gpu is "required"')
    chosen = _chosen(block, block.without_gpu, with_gpu=False, why=reservations)
    return replace(chosen, without_card=True)


def _chosen(
    block: XGpuhost,
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
        disk_gb=block.build.disk_gb if variant.disk_gb is None else variant.disk_gb,
    )


def _described(reserved: Reservation) -> str:
    if reserved.device_ids:
        return f"{reserved.card.name} {', '.join(reserved.device_ids)}"
    if reserved.count is None:
        return f"all cards, {reserved.card.name}"
    return f"{reserved.count} x {reserved.card.name}"


def _no_cards(snapshot: Snapshot, settings: Settings) -> str:
    """Why no card can be used; "" if one answers."""
    if settings.gpu == "none":
        return 'gpu is "none"'
    if not snapshot.nvidia.present:
        if is_jetson(snapshot):
            return "nvidia-smi does not list this Jetson's GPU"
        return "the host has no NVIDIA card"
    if not snapshot.nvidia.works:
        state = snapshot.nvidia.diagnosis.state
        return f"the driver does not answer: {state.value}. {SENTENCES[state][0].rstrip('.')}"
    return "" if snapshot.nvidia.answering else "nvidia-smi lists no card"


def _reservations(
    needed: dict[str, tuple[GpuNeed, bool]], snapshot: Snapshot
) -> dict[str, Reservation] | str:
    """By service, or the first reason why not."""
    reservations = {}
    for service, (need, is_decided) in needed.items():
        reserved = _reservation(need, snapshot)
        if isinstance(reserved, str):
            return f"{reserved} required by service {service}"
        is_other = reserved.device_ids != need.device_ids
        reservations[service] = replace(reserved, is_decided=is_decided or is_other)
    return reservations


def _reservation(need: GpuNeed, snapshot: Snapshot) -> Reservation | str:
    if need.device_ids:
        return _by_id(need, snapshot)
    cards = snapshot.nvidia.answering
    reasons = {gpu.index: unread(gpu, need) or mismatch(gpu, need, snapshot) for gpu in cards}
    fitting = [gpu for gpu in cards if not reasons[gpu.index]]
    if not fitting or len(fitting) < (need.count or 0):
        _refuse_unread(cards, need)
    if not fitting:
        return next(reason for reason in reasons.values() if reason)
    if need.count is not None and need.count > len(fitting):
        others = "; ".join(reason for reason in reasons.values() if reason)
        return f"{len(fitting)} of {need.count} cards" + (f" ({others})" if others else "") + ","
    reserved = fitting if need.count is None else _first_usable(fitting, need.count, snapshot)
    if reserved == list(cards[: need.count]):
        return Reservation(reserved[0], need.count)
    # With a count Docker would take the first cards, which may not fit or must be reset.
    return Reservation(reserved[0], None, tuple(gpu.uuid for gpu in reserved))


def _first_usable(cards: list[Gpu], count: int, snapshot: Snapshot) -> list[Gpu]:
    """The first cards without one that must be reset or replaced; with such a one, which no release
    gets (app.cards), where there are not enough others.
    """
    try:
        unusable = unusable_cards(snapshot)
    except NotRead:
        return cards[:count]
    good_first = sorted(cards, key=lambda gpu: gpu.slot in unusable)[:count]
    return [gpu for gpu in cards if gpu in good_first]


def _refuse_unread(cards: Iterable[Gpu], need: GpuNeed) -> None:
    """Raises NotRead: what could not be read must not decide that the app runs without a card."""
    if unknown := [text for gpu in cards if (text := unread(gpu, need))]:
        raise NotRead(unknown[0])


def _by_id(need: GpuNeed, snapshot: Snapshot) -> Reservation | str:
    cards = []
    for device in need.device_ids:
        if device.startswith(MIG):
            matching = [gpu for gpu in snapshot.nvidia.answering if gpu.mig]
        else:
            matching = [gpu for gpu in snapshot.nvidia.answering if has_id(gpu, device)]
        if not matching:
            return f"no device {device},"
        cards.append(matching[0])
        # A MIG device has less memory than its card.
        required = need if not device.startswith(MIG) else need.model_copy(update={"vram_gb": None})
        _refuse_unread(matching[:1], required)
        if reason := mismatch(matching[0], required, snapshot):
            return reason
    return Reservation(cards[0], None, need.device_ids)
