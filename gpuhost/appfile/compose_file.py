"""The parts of a Compose file that are needed where pyinfra runs.

Parsed leniently, in Compose's short and long forms; ${PORT:-3000} stays as written. Unexpected
values are ignored: Compose itself checks the file, on the host.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

# A port or volume, in the short (text) or long (mapping) form.
Raw = str | Mapping[str, Any]
# Prefixes of build contexts that are not a directory relative to the file.
NOT_RELATIVE = ("/", "~", "$", "git@", "github.com/", "service:")


def is_beside(context: str) -> bool:
    """Whether a build context is a directory of the app's source, not a URL or another path."""
    return "://" not in context and not context.startswith(NOT_RELATIVE)


@dataclass(frozen=True)
class ComposeBuild:
    context: str = "."
    dockerfile: str = "Dockerfile"
    target: str | None = None

    @property
    def is_of_source(self) -> bool:
        return is_beside(self.context)


@dataclass(frozen=True)
class ComposeService:
    image: str | None = None
    build: ComposeBuild | None = None
    ports: tuple[Raw, ...] = ()
    profiles: tuple[str, ...] = ()
    container_name: str | None = None
    restart: str | None = None
    healthcheck: bool = False
    networks: tuple[str, ...] = ()
    volumes: tuple[Raw, ...] = ()
    # Names only.
    environment: tuple[str, ...] = ()
    depends_on: tuple[str, ...] = ()
    # The whole service as in the file, `extends` included.
    written: Mapping[str, Any] = field(default_factory=dict, repr=False)


@dataclass(frozen=True)
class ComposeResource:
    """A network or volume of the file's top level."""

    external: bool = False
    name: str | None = None


@dataclass(frozen=True)
class ComposeFile:
    services: Mapping[str, ComposeService] = field(default_factory=dict)
    networks: Mapping[str, ComposeResource] = field(default_factory=dict)
    volumes: Mapping[str, ComposeResource] = field(default_factory=dict)

    @classmethod
    def of(cls, value: Mapping[str, Any]) -> ComposeFile:
        """From the values of a Document."""
        written = _mapping(value.get("services"))
        return cls(
            services={name: _service(_extended(name, written)) for name in written},
            networks=_resources(value.get("networks")),
            volumes=_resources(value.get("volumes")),
        )

    @property
    def profiles(self) -> frozenset[str]:
        return frozenset(name for service in self.services.values() for name in service.profiles)


def _extended(
    name: str, services: Mapping[str, Any], extending: tuple[str, ...] = ()
) -> dict[str, Any]:
    """A service merged with the one of the same file that it extends."""
    own = dict(_mapping(services.get(name)))
    other = own.get("extends")
    base = _text(_mapping(other).get("service")) if isinstance(other, dict) else _text(other)
    if base is None or base not in services or base in (*extending, name):
        return own
    return _merged(_extended(base, services, (*extending, name)), own)


def _merged(base: Mapping[str, Any], own: Mapping[str, Any]) -> dict[str, Any]:
    """Two mappings as Compose merges them: lists are concatenated, mappings merged."""
    merged = {**base, **own}
    for key in base.keys() & own.keys():
        before, after = _long_form(base[key], own[key]), _long_form(own[key], base[key])
        if isinstance(before, list) and isinstance(after, list):
            merged[key] = [*before, *after]
        elif isinstance(before, dict) and isinstance(after, dict):
            merged[key] = _merged(before, after)
    return merged


def _long_form(value: Any, other: Any) -> Any:
    """Compose's short forms as mappings, if the other is one: "NAME=value", and build: ./api."""
    if not isinstance(other, dict):
        return value
    if isinstance(value, list):
        pairs = (_text(item) for item in value)
        return {name: text for pair in pairs if pair for name, _, text in [pair.partition("=")]}
    return {"context": value} if isinstance(value, str) else value


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
        written=written,
    )


def _build(value: Any) -> ComposeBuild | None:
    if isinstance(value, dict):
        context, dockerfile = _text(value.get("context")), _text(value.get("dockerfile"))
        return ComposeBuild(context or ".", dockerfile or "Dockerfile", _text(value.get("target")))
    context = _text(value)
    return None if context is None else ComposeBuild(context)


def _resources(value: Any) -> dict[str, ComposeResource]:
    return {name: _resource(_mapping(item)) for name, item in _mapping(value).items()}


def _resource(written: Mapping[str, Any]) -> ComposeResource:
    external = written.get("external")
    # Compose's older form names the network inside `external`.
    name = _text(written.get("name")) or _text(_mapping(external).get("name"))
    return ComposeResource(external is True or isinstance(external, dict), name)


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
