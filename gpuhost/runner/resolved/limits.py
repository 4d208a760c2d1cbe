"""Limits of memory and CPUs, the number of containers, environment and logging of services."""

from __future__ import annotations

from collections.abc import Iterator
from copy import deepcopy
from decimal import Decimal
from typing import Any

from gpuhost.runner.docker.resolved_model import Model, running
from gpuhost.runner.lib.sizes import GB
from gpuhost.runner.plan import Plan, Resources

# Keys of a service -> the part and the key of deploy.resources that say the same.
TWICE = {
    "mem_limit": ("limits", "memory"),
    "cpus": ("limits", "cpus"),
    "pids_limit": ("limits", "pids"),
    "mem_reservation": ("reservations", "memory"),
}
LOGGING = {"driver": "json-file", "options": {"max-size": "20m", "max-file": "5"}}


def limits(model: Model, plan: Plan, cores: int) -> tuple[Model, tuple[str, ...]]:
    """The model with what the plan says of each service, and notes for the log."""
    changed = deepcopy(model)
    services, said = running(changed), list[str]()
    for resources in plan.resources:
        if resources.service in services:
            _limit(services[resources.service], resources)
    for name, section in services.items():
        if name in plan.scale:
            said += _scale(name, section, plan.scale[name])
        if values := plan.environment.get(name):
            escaped = {key: value.replace("$", "$$") for key, value in values.items()}
            section["environment"] = {**(section.get("environment") or {}), **escaped}
        section.setdefault("logging", deepcopy(LOGGING))
        _say_once(section)
    lowered, notes = host_cpus(changed, cores)
    return lowered, (*said, *notes)


def host_cpus(model: Model, cores: int) -> tuple[Model, tuple[str, ...]]:
    """Lower limits above the cores of this host: the engine would refuse the container."""
    changed = deepcopy(model)
    said = []
    for name, section in running(changed).items():
        limited = ((section.get("deploy") or {}).get("resources") or {}).get("limits") or {}
        for holder in (section, limited):
            if float(holder.get("cpus") or 0) > cores:
                said.append(f"{name}: a limit of {holder['cpus']} CPUs; this host has {cores}")
                holder["cpus"] = cores if holder is section else str(cores)
    return changed, tuple(said)


def _limit(section: dict[str, Any], resources: Resources) -> None:
    added = {}
    if resources.memory_gb:
        added["memory"] = _bytes(resources.memory_gb)
        # The limit of swap depends on that of memory.
        section.pop("memswap_limit", None)
    if resources.cpus:
        added["cpus"] = format(Decimal(str(resources.cpus)), "f")
    if added:
        deploy = section["deploy"] = section.get("deploy") or {}
        part = deploy["resources"] = deploy.get("resources") or {}
        part["limits"] = {**(part.get("limits") or {}), **added}
    if resources.shm_gb:
        section["shm_size"] = _bytes(resources.shm_gb)


def _say_once(section: dict[str, Any]) -> None:
    """Compose refuses a limit outside of `deploy` beside any limit in it: they move there."""
    resources = (section.get("deploy") or {}).get("resources") or {}
    for key, (part, name) in TWICE.items():
        if resources.get(part) and key in section:
            resources[part].setdefault(name, section.pop(key))


def _bytes(gb: float) -> str:
    return str(int(gb * GB))


def _scale(name: str, section: dict[str, Any], count: int) -> Iterator[str]:
    section["scale"] = count
    deploy = section.get("deploy") or {}
    if "replicas" in deploy:
        deploy["replicas"] = count
    if count > 1 and section.pop("container_name", None):
        yield f"{name}: container_name is ignored, it has {count} containers"
