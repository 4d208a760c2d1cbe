"""Devices of a service in the override: cards as x-gpuhost declares; other devices are kept."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from gpuhost.release.variant import ChosenVariant, Reservation
from gpuhost.release.yaml_text import flow, literal

# Prefixes of cards, in CDI and as paths.
CARDS = ("nvidia.com/gpu", "/dev/nvidia")


def reserved_devices(
    service: Mapping[str, Any], reserved: Reservation | None, variant: ChosenVariant
) -> str:
    """YAML that replaces the file's reservations; "" if they are kept."""
    declared = _reservations(service)
    kept = [device for device in declared if not _reserves_a_card(device)]
    if reserved is not None:
        return _overridden([_cards(reserved), *kept])
    if not variant.without_card or len(kept) == len(declared):
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


def _reservations(service: Mapping[str, Any]) -> list[Any]:
    value: Any = service
    for key in ("deploy", "resources", "reservations", "devices"):
        value = value.get(key) if isinstance(value, Mapping) else None
    return value if isinstance(value, list) else []


def _reserves_a_card(device: Any) -> bool:
    """Whether it is for an NVIDIA card; for Docker that is also "gpu" without a driver."""
    if not isinstance(device, Mapping):
        return False
    driver = device.get("driver")
    if driver == "cdi":
        return CARDS[0] in str(device.get("device_ids"))
    return driver == "nvidia" or (not driver and "gpu" in str(device.get("capabilities")))


def host_devices(service: Mapping[str, Any], variant: ChosenVariant) -> tuple[Any, ...] | None:
    """The file's `devices` without cards; None if they are kept."""
    devices = service.get("devices")
    if not variant.without_card or not isinstance(devices, list):
        return None
    kept = tuple(device for device in devices if not _is_a_card(device))
    return None if len(kept) == len(devices) else kept


def _is_a_card(device: Any) -> bool:
    source = device.get("source") if isinstance(device, Mapping) else device
    return str(source).startswith(CARDS)
