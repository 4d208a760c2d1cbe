"""The memory of cards that services declare: who gets which card, and whether it is enough."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.appfile.app import App
from gpuhost.domain.nvidia.smi import Gpu
from gpuhost.release.cards import ADVERTISED, MIB_IN_GIB, has_id
from gpuhost.release.variant import ChosenVariant, Reservation
from gpuhost.snapshot import Snapshot


@dataclass(frozen=True)
class Place:
    """A card, or a MIG device of a card. gb: None: not known, as of GB10."""

    uuid: str
    name: str
    gb: float | None


@dataclass(frozen=True)
class Demand:
    """What the containers of a service need of each of their cards, together.

    + places: UUIDs of the cards, or of MIG devices
    """

    app: str
    service: str
    gb: float
    places: tuple[str, ...]

    def __str__(self) -> str:
        return f"{self.app}/{self.service} {self.gb:g} GB"


def all_places(snapshot: Snapshot) -> tuple[Place, ...]:
    """Where memory can be used: cards, and the MIG devices of those in MIG mode."""
    return tuple(place for gpu in snapshot.nvidia.answering for place in _places(gpu, snapshot))


def places_of(reserved: Reservation, snapshot: Snapshot) -> tuple[str, ...]:
    """The cards and MIG devices that a service gets: all, the first ones, or the named ones."""
    gpus = snapshot.nvidia.answering
    if reserved.device_ids:
        named = [gpu for gpu in gpus if any(has_id(gpu, id) for id in reserved.device_ids)]
        devices = [
            device.uuid
            for device in snapshot.nvidia_health.mig_devices
            if device.uuid in reserved.device_ids
        ]
        return (*(place.uuid for gpu in named for place in _places(gpu, snapshot)), *devices)
    chosen = gpus if reserved.count is None else gpus[: reserved.count]
    return tuple(place.uuid for gpu in chosen for place in _places(gpu, snapshot))


def demands(app: App, choice: ChosenVariant, snapshot: Snapshot) -> tuple[Demand, ...]:
    """What the services of an app need, with `vram_gb`."""
    found = []
    for service, reserved in choice.reservations.items():
        need = app.block.gpu.get(service)
        if need and need.vram_gb:
            gb = need.vram_gb * app.block.scale.get(service, 1)
            found.append(Demand(app.name, service, gb, places_of(reserved, snapshot)))
    return tuple(found)


def demands_of_others(snapshot: Snapshot, app: str) -> tuple[Demand, ...]:
    """What the other apps of the host were released with; an app itself does not count twice."""
    return tuple(
        Demand(state.name, used.service, used.gb, used.places)
        for state in snapshot.apps.by_name.values()
        if state.name != app and not isinstance(state.details, str)
        for used in state.details.vram
    )


def overcommitted(places: tuple[Place, ...], wanted: tuple[Demand, ...]) -> Iterator[str]:
    """Cards with less memory than is declared for them, with the sum.

    A card sold as 24 GB reports 22.5 GiB with ECC on; app files state the advertised size.
    """
    for place in places:
        here = [demand for demand in wanted if place.uuid in demand.places]
        total = sum(demand.gb for demand in here)
        if place.gb is not None and total * ADVERTISED > place.gb:
            parts = " + ".join(map(str, here))
            yield f"{place.name}: {parts} = {total:g} GB, it has {place.gb:.1f} GB"


def _places(gpu: Gpu, snapshot: Snapshot) -> tuple[Place, ...]:
    if not gpu.mig:
        total = gpu.memory_total_mib
        gb = None if total is None else total / MIB_IN_GIB
        return (Place(gpu.uuid, f"card {gpu.index} ({gpu.name})", gb),)
    return tuple(
        Place(device.uuid, f"{device.profile} of card {gpu.index}", device.memory_gb)
        for device in snapshot.nvidia_health.mig_devices
        if device.card == gpu.index
    )
