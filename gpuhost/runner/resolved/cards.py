"""NVIDIA cards: what the Compose files reserve, changed only where the plan decides."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from copy import deepcopy
from typing import Any

from gpuhost.runner.docker.resolved_model import Model, running
from gpuhost.runner.plan import Gpu, Plan

CDI = "nvidia.com/gpu"
# Prefixes in `devices`: CDI names and paths.
CARDS = (CDI, "/dev/nvidia")
RUNTIME = "nvidia"
VISIBLE = "NVIDIA_VISIBLE_DEVICES"
ALL = {"driver": "nvidia", "count": -1, "capabilities": ["gpu"]}


def cards(model: Model, plan: Plan) -> tuple[Model, tuple[str, ...]]:
    """The model with the cards of this host, and notes for the log."""
    changed = deepcopy(model)
    services, said = running(changed), []
    if plan.without_card:
        for name, section in services.items():
            if reserves_card(section):
                said.append(f"{name}: its NVIDIA cards are taken away on this host")
            _remove(section)
        return changed, tuple(said)
    for gpu in plan.gpu:
        if gpu.service in services:
            said += _set(services[gpu.service], gpu)
    return changed, tuple(said)


def reserves_card(section: Mapping[str, Any]) -> bool:
    is_device = any(_is_card_path(device) for device in section.get("devices") or ())
    return bool(section.get("runtime") == RUNTIME or is_device or list(_requests(section)))


def _set(section: dict[str, Any], gpu: Gpu) -> Iterator[str]:
    decided = gpu.count is not None or bool(gpu.device_ids)
    if not reserves_card(section):
        reserved = _reservations(section)
        reserved.append(_chosen(dict(ALL), gpu) if decided else dict(ALL))
        yield f"{gpu.service}: the file reserves no card; it gets {_in_words(gpu)}"
        return
    if not decided:
        return
    for request in _requests(section):
        _choose(request, gpu)
    if section.get("runtime") == RUNTIME:
        section.setdefault("environment", {})[VISIBLE] = ",".join(_ids(gpu))
    if any(_is_card_path(device) for device in section.get("devices") or ()):
        _choose_devices(section, gpu)
    yield f"{gpu.service}: it gets {_in_words(gpu)}"


def _choose(request: dict[str, Any], gpu: Gpu) -> None:
    chosen = _chosen(request, gpu)
    request.clear()
    request.update(chosen)


def _chosen(request: Mapping[str, Any], gpu: Gpu) -> dict[str, Any]:
    kept = {key: value for key, value in request.items() if key not in ("count", "device_ids")}
    if request.get("driver") == "cdi":
        return {**kept, "device_ids": [f"{CDI}={id_}" for id_ in _ids(gpu)]}
    if gpu.device_ids:
        return {**kept, "device_ids": list(gpu.device_ids)}
    return {**kept, "count": gpu.count}


def _choose_devices(section: dict[str, Any], gpu: Gpu) -> None:
    """Names of CDI; a path names its card itself, and stays."""
    others = [d for d in section["devices"] if not str(d.get("source")).startswith(CDI)]
    if len(others) < len(section["devices"]):
        names = (f"{CDI}={id_}" for id_ in _ids(gpu))
        chosen = [{"source": n, "target": n, "permissions": "rwm"} for n in names]
        section["devices"] = [*others, *chosen]


def _ids(gpu: Gpu) -> tuple[str, ...]:
    return gpu.device_ids or tuple(map(str, range(gpu.count or 0)))


def _in_words(gpu: Gpu) -> str:
    if gpu.device_ids:
        return f"cards {', '.join(gpu.device_ids)}"
    return "all cards" if gpu.count is None else f"{gpu.count} of them"


def _requests(section: Mapping[str, Any]) -> Iterator[dict[str, Any]]:
    """Reservations of NVIDIA cards, in `deploy` and in `gpus`."""
    for request in _declared(section):
        if _is_nvidia(request):
            yield request
    for request in section.get("gpus") or ():
        if not request.get("driver") or _is_nvidia(request):
            yield request


def _is_nvidia(request: Mapping[str, Any]) -> bool:
    """For Docker that is also "gpu" without a driver."""
    driver = request.get("driver")
    if driver == "cdi":
        return CDI in str(request.get("device_ids"))
    return driver == "nvidia" or (not driver and "gpu" in (request.get("capabilities") or ()))


def _is_card_path(device: Mapping[str, Any]) -> bool:
    return str(device.get("source")).startswith(CARDS)


def _declared(section: Mapping[str, Any]) -> list[dict[str, Any]]:
    value: Any = section
    for key in ("deploy", "resources", "reservations", "devices"):
        value = (value or {}).get(key)
    return value or []


def _reservations(section: dict[str, Any]) -> list[dict[str, Any]]:
    """The list in the section, made if it is missing."""
    value: dict[str, Any] = section
    for key in ("deploy", "resources", "reservations"):
        value[key] = value.get(key) or {}
        value = value[key]
    value["devices"] = value.get("devices") or []
    devices: list[dict[str, Any]] = value["devices"]
    return devices


def _remove(section: dict[str, Any]) -> None:
    if _declared(section):
        reservations = section["deploy"]["resources"]["reservations"]
        _keep(reservations, "devices", lambda request: not _is_nvidia(request))
    _keep(section, "gpus", lambda r: bool(r.get("driver")) and not _is_nvidia(r))
    _keep(section, "devices", lambda device: not _is_card_path(device))
    if section.get("runtime") == RUNTIME:
        del section["runtime"]


def _keep(holder: dict[str, Any], key: str, is_kept: Callable[[Mapping[str, Any]], bool]) -> None:
    kept = [entry for entry in holder.get(key) or () if is_kept(entry)]
    if kept:
        holder[key] = kept
    else:
        holder.pop(key, None)
