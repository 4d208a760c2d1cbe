"""Makes the model of an app's Compose files from their merged values.

Compose's short and long forms. Unexpected values are ignored: Compose itself checks the files, on
the host.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any

from gpuhost.appfile.compose.cards import reserved_cards
from gpuhost.appfile.compose.limits import declared_limits
from gpuhost.appfile.compose.model import (
    ComposeBuild,
    ComposeFile,
    ComposeResource,
    ComposeService,
    EnvFile,
    is_beside,
)
from gpuhost.appfile.compose.short_forms import Raw


def compose_file(value: Mapping[str, Any]) -> ComposeFile:
    """From the merged values of the files."""
    return ComposeFile(
        services={
            name: _service(_mapping(service))
            for name, service in _mapping(value.get("services")).items()
        },
        networks=_resources(value.get("networks")),
        volumes=_resources(value.get("volumes")),
        configs=_resources(value.get("configs")),
        secrets=_resources(value.get("secrets")),
        name=_text(value.get("name")),
    )


def _service(written: Mapping[str, Any]) -> ComposeService:
    healthcheck = written.get("healthcheck")
    return ComposeService(
        image=_text(written.get("image")),
        build=_build(written.get("build")),
        ports=_raw(written.get("ports")),
        profiles=_names(written.get("profiles")),
        container_name=_text(written.get("container_name")),
        restart=_text(written.get("restart")),
        healthcheck=bool(healthcheck) and _mapping(healthcheck).get("disable") is not True,
        networks=_names(written.get("networks")),
        volumes=_raw(written.get("volumes")),
        environment=tuple(name.partition("=")[0] for name in _names(written.get("environment"))),
        depends_on=_names(written.get("depends_on")),
        env_files=_env_files(written.get("env_file")),
        label_files=tuple(file.path for file in _env_files(written.get("label_file"))),
        seccomp_profiles=tuple(_seccomp_profiles(written.get("security_opt"))),
        network_mode=_text(written.get("network_mode")),
        cards=reserved_cards(written),
        limits=declared_limits(written),
    )


def _build(value: Any) -> ComposeBuild | None:
    if isinstance(value, dict):
        context, dockerfile = _text(value.get("context")), _text(value.get("dockerfile"))
        file = "" if "dockerfile_inline" in value else dockerfile or "Dockerfile"
        others = _pairs(value.get("additional_contexts")).values()
        additional = tuple(path for path in others if is_beside(path))
        args = _arguments(value.get("args"))
        return ComposeBuild(context or ".", file, _text(value.get("target")), additional, args)
    context = _text(value)
    return None if context is None else ComposeBuild(context)


def _arguments(value: Any) -> tuple[str, ...]:
    if isinstance(value, dict):
        return tuple(f"{name}={_text(item) or ''}" for name, item in value.items())
    return _names(value)


def _pairs(value: Any) -> dict[str, str]:
    if isinstance(value, dict):
        return {name: text for name, item in value.items() if (text := _text(item)) is not None}
    pairs = (item.partition("=") for item in _names(value))
    return {name: text for name, sign, text in pairs if sign}


def _seccomp_profiles(value: Any) -> Iterator[str]:
    for option in _names(value):
        kind, profile = re.split("[=:]", f"{option}=", maxsplit=1)
        profile = profile.removesuffix("=")
        if kind == "seccomp" and is_beside(profile) and profile not in ("unconfined", "builtin"):
            yield profile


def _env_files(value: Any) -> tuple[EnvFile, ...]:
    entries = value if isinstance(value, list) else [value]
    return tuple(file for entry in entries if (file := _env_file(entry)))


def _env_file(entry: Any) -> EnvFile | None:
    path = _text(entry.get("path")) if isinstance(entry, dict) else _text(entry)
    required = not isinstance(entry, dict) or entry.get("required") is not False
    return EnvFile(path, required) if path else None


def _resources(value: Any) -> dict[str, ComposeResource]:
    return {name: _resource(_mapping(item)) for name, item in _mapping(value).items()}


def _resource(written: Mapping[str, Any]) -> ComposeResource:
    external = written.get("external")
    # Compose's older form names the network inside `external`.
    name = _text(written.get("name")) or _text(_mapping(external).get("name"))
    is_external = external in (True, "true") or isinstance(external, dict)
    device = _mapping(written.get("driver_opts")).get("device")
    return ComposeResource(is_external, name, _text(written.get("file")), _text(device))


def _mapping(value: Any) -> dict[str, Any]:
    return value if isinstance(value, dict) else {}


def _names(value: Any) -> tuple[str, ...]:
    """A list of texts, or a mapping's keys."""
    if isinstance(value, dict):
        return tuple(value)
    return tuple(text for item in _list(value) if (text := _text(item)) is not None)


def _raw(value: Any) -> tuple[Raw, ...]:
    items = (item if isinstance(item, dict) else _text(item) for item in _list(value))
    return tuple(item for item in items if item is not None)


def _list(value: Any) -> list[Any]:
    return value if isinstance(value, list) else []


def _text(value: Any) -> str | None:
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, str | int | float) else None
