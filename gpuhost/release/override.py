"""compose.override.yaml: what gpuhost adds to an app's Compose file for one host."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field, replace
from decimal import Decimal
from typing import Any

from gpuhost.appfile.app import App
from gpuhost.appfile.compose_file import ComposeService
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.model import Resources
from gpuhost.domain.rendering import render
from gpuhost.domain.sizes import GB
from gpuhost.release.contexts import OutsideSource, source_contexts
from gpuhost.release.devices import host_devices, reserved_devices
from gpuhost.release.ports import BadPort, bind_ports
from gpuhost.release.variant import ChosenVariant
from gpuhost.release.yaml_text import flow, literal, quoted

COMPLETED = "service_completed_successfully"


@dataclass(frozen=True)
class ServiceOverride:
    """What is added to one service; keys in `reset` are removed.

    + devices: reserved devices, as YAML; "!reset []" removes the file's own
    """

    name: str
    reset: tuple[str, ...] = ()
    build: Mapping[str, Any] = field(default_factory=dict)
    environment: Mapping[str, str] = field(default_factory=dict)
    ports: tuple[Any, ...] = ()
    limits: Mapping[str, str] = field(default_factory=dict)
    devices: str = ""
    host_devices: tuple[Any, ...] | None = None
    shm_size: str = ""
    logging: bool = False
    restart: bool = False
    start_interval: bool = False


def render_override(app: App, variant: ChosenVariant, *, start_interval: bool = False) -> str:
    """The file's text, the same for the same app and variant. It holds no secret.

    + start_interval: the engine supports healthcheck.start_interval (Docker 25 and later)

    Raises BadApp, with every error.
    """
    errors: list[str] = []
    services = []
    for name, service in app.compose.services.items():
        try:
            added = _service(name, service, app, variant)
            early = start_interval and _has_start_period(service.written)
            services.append(replace(added, start_interval=early))
        except BadPort as error:
            errors.append(f"{app.path}: {error}")
        except OutsideSource as error:
            errors.append(f"{app.path}: services.{name}: {error}")
    if errors:
        raise BadApp(errors)
    return render(
        "compose.override.yaml.j2",
        app=app.name,
        services=[service for service in services if service != ServiceOverride(service.name)],
        flow=flow,
        quoted=quoted,
    )


def _service(
    name: str, service: ComposeService, app: App, variant: ChosenVariant
) -> ServiceOverride:
    declared = service.written
    resources = app.block.resources.get(name, Resources())
    environment = variant.environment.get(name, {})
    return ServiceOverride(
        name,
        reset=tuple(_reset(name, declared, app, variant)),
        build=source_contexts(declared.get("build")),
        environment={key: literal(value) for key, value in environment.items()},
        ports=tuple(bind_ports(name, service.ports, app.block.public)),
        limits=dict(_limits(resources)),
        devices=reserved_devices(declared, variant.reservations.get(name), variant),
        host_devices=host_devices(declared, variant),
        shm_size=_bytes(resources.shm_gb) if resources.shm_gb else "",
        logging="logging" not in declared,
        restart=_needs_restart_policy(name, service, app, variant),
    )


def _has_start_period(declared: Mapping[str, Any]) -> bool:
    """Docker's default interval of 30 s would make a release up to 30 s longer than needed."""
    check = declared.get("healthcheck")
    return (
        isinstance(check, Mapping)
        and not check.get("disable")
        and "start_period" in check
        and "start_interval" not in check
    )


def _limits(resources: Resources) -> Iterator[tuple[str, str]]:
    if resources.memory_gb:
        yield "memory", _bytes(resources.memory_gb)
    if resources.cpus:
        yield "cpus", format(Decimal(str(resources.cpus)), "f")


def _bytes(gb: float) -> str:
    return str(int(gb * GB))


def _reset(
    name: str, declared: Mapping[str, Any], app: App, variant: ChosenVariant
) -> Iterator[str]:
    """Keys of the file that contradict a value of the override under another key."""
    resources = app.block.resources.get(name, Resources())
    conflicting = []
    if resources.memory_gb:
        # Compose refuses different values; and the swap limit depends on the memory limit.
        conflicting += ["mem_limit", "memswap_limit"]
    if resources.cpus:
        conflicting += ["cpus"]
    if app.block.scale.get(name, 1) > 1:
        conflicting += ["container_name"]
    if variant.without_card or name in variant.reservations:
        conflicting += ["gpus"]
    if variant.without_card and declared.get("runtime") == "nvidia":
        conflicting += ["runtime"]
    return (key for key in conflicting if key in declared)


def _needs_restart_policy(
    name: str, service: ComposeService, app: App, variant: ChosenVariant
) -> bool:
    """Whether to add a restart policy: it has none, and is not a one-shot service."""
    declared = service.written
    deploy = declared.get("deploy")
    has_policy = "restart" in declared or (
        isinstance(deploy, Mapping) and "restart_policy" in deploy
    )
    is_migration = app.block.migrate is not None and app.block.migrate.service == name
    is_started = not service.profiles or bool(set(service.profiles) & set(variant.profiles))
    return (
        not has_policy
        and not is_migration
        and is_started
        and name not in variant.leave_out
        and name not in _one_shot_services(app)
    )


def _one_shot_services(app: App) -> frozenset[str]:
    """Services that others wait for to complete."""
    dependencies = (service.written.get("depends_on") for service in app.compose.services.values())
    return frozenset(
        name
        for conditions in dependencies
        if isinstance(conditions, Mapping)
        for name, condition in conditions.items()
        if isinstance(condition, Mapping) and condition.get("condition") == COMPLETED
    )
