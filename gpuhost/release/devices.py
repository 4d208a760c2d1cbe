"""Devices of a service in the override: a card as the block asks for it, or none; others stay."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpuhost.release.variant import ChosenVariant, Reservation
from gpuhost.release.yaml_text import flow, literal

# How a card is named, by CDI and by path.
CARDS = ("nvidia.com/gpu", "/dev/nvidia")


def reserved_devices(
    given: Mapping[str, Any], reserved: Reservation | None, choice: ChosenVariant
) -> str:
    """What takes the place of the file's reservations; "" where they stay as they are."""
    written = _reservations(given)
    kept = [device for device in written if not _reserves_a_card(device)]
    if reserved is not None:
        return _overridden([_cards(reserved), *kept])
    if not choice.without_card or len(kept) == len(written):
        return ""
    return _overridden(kept) if kept else "!reset []"


def _cards(reserved: Reservation) -> dict[str, Any]:
    cards: dict[str, Any] = {"driver": "nvidia"}
    if reserved.device_ids:
        cards["device_ids"] = [literal(device) for device in reserved.device_ids]
    else:
        cards["count"] = reserved.count or "all"
    return {**cards, "capabilities": ["gpu"]}


def _overridden(devices: Sequence[Any]) -> str:
    return f"!override {flow(devices)}"


def _reservations(given: Mapping[str, Any]) -> list[Any]:
    value: Any = given
    for key in ("deploy", "resources", "reservations", "devices"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, list) else []


def _reserves_a_card(device: Any) -> bool:
    """Whether it is for an NVIDIA card: without a driver, "gpu" means one to Docker."""
    if not isinstance(device, Mapping):
        return False
    driver = device.get("driver")
    if driver == "cdi":
        return CARDS[0] in str(device.get("device_ids"))
    return driver == "nvidia" or (not driver and "gpu" in str(device.get("capabilities")))


def host_devices(given: Mapping[str, Any], choice: ChosenVariant) -> tuple[Any, ...] | None:
    """The file's `devices` without cards; None where they stay as they are."""
    devices = given.get("devices")
    if not choice.without_card or not isinstance(devices, list):
        return None
    kept = tuple(device for device in devices if not _is_a_card(device))
    return None if len(kept) == len(devices) else kept


def _is_a_card(device: Any) -> bool:
    source = device.get("source") if isinstance(device, Mapping) else device
    return str(source).startswith(CARDS)
