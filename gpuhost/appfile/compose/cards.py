"""NVIDIA cards that a service of the Compose file reserves, in each form that Compose has."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

CDI = "nvidia.com/gpu"
DEVICE = "/dev/nvidia"


@dataclass(frozen=True)
class FileCards:
    """count: None for all, or if device_ids names the cards."""

    count: int | None = None
    device_ids: tuple[str, ...] = ()


def reserved_cards(service: Mapping[str, Any]) -> FileCards | None:
    """None: the service reserves no NVIDIA card. An AMD device is none."""
    for reservation in _reservations(service):
        if _is_nvidia(reservation):
            return _cards(reservation)
    if service.get("gpus") == "all" or service.get("runtime") == "nvidia":
        return FileCards()
    devices = service.get("devices")
    sources = [_source(device) for device in devices] if isinstance(devices, list) else []
    if named := tuple(source for source in sources if source.startswith(CDI)):
        return _of_cdi(named)
    return FileCards() if any(source.startswith(DEVICE) for source in sources) else None


def _reservations(service: Mapping[str, Any]) -> Iterator[Mapping[str, Any]]:
    value: Any = service
    for key in ("deploy", "resources", "reservations", "devices"):
        value = value.get(key) if isinstance(value, Mapping) else None
    gpus = service.get("gpus")
    # `gpus` has the same form; each is for a GPU, also without capabilities.
    own = [
        {**one, "capabilities": ["gpu", *_list(one.get("capabilities"))]}
        for one in _list(gpus)
        if isinstance(one, Mapping)
    ]
    yield from (one for one in (*_list(value), *own) if isinstance(one, Mapping))


def _is_nvidia(reservation: Mapping[str, Any]) -> bool:
    """Without a driver Docker takes NVIDIA's for the capability "gpu"."""
    driver = reservation.get("driver")
    if driver == "cdi":
        return any(str(one).startswith(CDI) for one in _list(reservation.get("device_ids")))
    is_gpu = "gpu" in map(str, _list(reservation.get("capabilities")))
    return driver == "nvidia" or (not driver and is_gpu)


def _cards(reservation: Mapping[str, Any]) -> FileCards:
    ids = tuple(str(one) for one in _list(reservation.get("device_ids")))
    if reservation.get("driver") == "cdi":
        return _of_cdi(ids)
    count = str(reservation.get("count", "all"))
    return FileCards(int(count) if count.isascii() and count.isdigit() and not ids else None, ids)


def _of_cdi(names: tuple[str, ...]) -> FileCards:
    """ "nvidia.com/gpu=0" is card 0."""
    ids = tuple(name.partition("=")[2] for name in names if name.startswith(CDI))
    return FileCards() if "all" in ids or not all(ids) else FileCards(None, ids)


def _source(device: Any) -> str:
    return str(device.get("source") if isinstance(device, Mapping) else device)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []
