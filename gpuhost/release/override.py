"""compose.override.yaml: what a careful operator adds to an app's file for one host."""

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

ONCE = "service_completed_successfully"


@dataclass(frozen=True)
class ServiceOverride:
    """What one service gets; values are as YAML has them, keys in `reset` are taken away.

    + devices: what is reserved of devices; "!reset []" takes the file's own away
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


def render_override(app: App, choice: ChosenVariant, *, start_interval: bool = False) -> str:
    """The file's text, the same for the same app and choice. No secret is in it.

    + start_interval: the engine can ask more often for health while a service starts (25 and later)

    Raises BadApp, with every mistake.
    """
    mistakes: list[str] = []
    services = []
    for name, service in app.compose.services.items():
        try:
            made = _service(name, service, app, choice)
            often = start_interval and _starts_slowly(service.written)
            services.append(replace(made, start_interval=often))
        except BadPort as error:
            mistakes.append(f"{app.path}: {error}")
        except OutsideSource as error:
            mistakes.append(f"{app.path}: services.{name}: {error}")
    if mistakes:
        raise BadApp(mistakes)
    return render(
        "compose.override.yaml.j2",
        app=app.name,
        services=[service for service in services if service != ServiceOverride(service.name)],
        flow=flow,
        quoted=quoted,
    )


def _service(
    name: str, service: ComposeService, app: App, choice: ChosenVariant
) -> ServiceOverride:
    given = service.written
    resources = app.block.resources.get(name, Resources())
    environment = choice.environment.get(name, {})
    return ServiceOverride(
        name,
        reset=tuple(_reset(name, given, app, choice)),
        build=source_contexts(given.get("build")),
        environment={key: literal(value) for key, value in environment.items()},
        ports=tuple(bind_ports(name, service.ports, app.block.public)),
        limits=dict(_limits(resources)),
        devices=reserved_devices(given, choice.reservations.get(name), choice),
        host_devices=host_devices(given, choice),
        shm_size=_bytes(resources.shm_gb) if resources.shm_gb else "",
        logging="logging" not in given,
        restart=_is_restarted(name, service, app, choice),
    )


def _starts_slowly(given: Mapping[str, Any]) -> bool:
    """Health that is asked for every 30 s makes every release 30 s longer than its app needs."""
    check = given.get("healthcheck")
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


def _reset(name: str, given: Mapping[str, Any], app: App, choice: ChosenVariant) -> Iterator[str]:
    """Keys of the file that contradict what the override says in another place."""
    resources = app.block.resources.get(name, Resources())
    unwanted = []
    if resources.memory_gb:
        # Compose refuses two that differ; and what may be swapped belongs to the limit.
        unwanted += ["mem_limit", "memswap_limit"]
    if resources.cpus:
        unwanted += ["cpus"]
    if app.block.scale.get(name, 1) > 1:
        unwanted += ["container_name"]
    if choice.without_card or name in choice.reservations:
        unwanted += ["gpus"]
    if choice.without_card and given.get("runtime") == "nvidia":
        unwanted += ["runtime"]
    return (key for key in unwanted if key in given)


def _is_restarted(name: str, service: ComposeService, app: App, choice: ChosenVariant) -> bool:
    """Whether it gets a restart policy: it has none, and it is not one that ends by itself."""
    given = service.written
    deploy = given.get("deploy")
    has_policy = "restart" in given or (isinstance(deploy, Mapping) and "restart_policy" in deploy)
    is_migration = app.block.migrate is not None and app.block.migrate.service == name
    is_started = not service.profiles or bool(set(service.profiles) & set(choice.profiles))
    return (
        not has_policy
        and not is_migration
        and is_started
        and name not in choice.leave_out
        and name not in _ending(app)
    )


def _ending(app: App) -> frozenset[str]:
    """The services whose end others wait for."""
    waited = (service.written.get("depends_on") for service in app.compose.services.values())
    return frozenset(
        name
        for conditions in waited
        if isinstance(conditions, Mapping)
        for name, condition in conditions.items()
        if isinstance(condition, Mapping) and condition.get("condition") == ONCE
    )
