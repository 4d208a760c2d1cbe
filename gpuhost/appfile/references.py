"""Names in x-gpuhost that must exist elsewhere in the files: services, profiles, ports, secrets."""

from __future__ import annotations

import re
from collections.abc import Iterator
from typing import Any

from gpuhost.appfile.block_paths import leading_out, refused
from gpuhost.appfile.compose.model import ComposeFile, ComposeService
from gpuhost.appfile.compose.project import ComposeProject
from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort
from gpuhost.appfile.document import KeyPath
from gpuhost.appfile.model import XGpuhost
from gpuhost.appfile.problems import Problem, key_name, shown, suggestion
from gpuhost.appfile.schema import KEY

REFERENCE = re.compile(r"\$\{([^}]*)\}")


def check(block: XGpuhost, project: ComposeProject, app: str) -> Iterator[Problem]:
    """Check what one section of the block cannot check alone.

    + app: its name
    """
    compose = project.compose
    yield from _variants(block, compose)
    yield from _services(block, compose)
    yield from _profiles(block, compose)
    yield from _secrets(block)
    yield from _builds(block, compose)
    yield from _scaled(block, compose)
    yield from _public(block, compose)
    yield from _upstreams(block, compose)
    for key_path, path in leading_out(block, project.directory):
        yield _problem(
            key_path, "leads out of the source; use a path in it, or an absolute path", path
        )
    for key_path, path, reason in refused(block, app):
        yield _problem(key_path, reason, path)


def _problem(key_path: KeyPath, message: str, value: Any = None) -> Problem:
    of = f" = {shown(key_path, value)}" if value is not None else ""
    return Problem((KEY, *key_path), f"{key_name(key_path)}{of}: {message}")


def _variants(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    reserves = any(service.cards for service in compose.services.values())
    if "with_gpu" in block.model_fields_set and not block.gpu and not reserves:
        yield _problem(("with_gpu",), "unused: no service is in x-gpuhost.gpu, or reserves a card")


def _services(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    known = list(compose.services)
    for key_path, name, is_key in _service_names(block):
        if name not in compose.services:
            message = "no such service in the Compose file" + suggestion(name, known)
            yield _problem(key_path, message, None if is_key else name)


def _service_names(block: XGpuhost) -> Iterator[tuple[KeyPath, str, bool]]:
    """Key path, name, and whether the name is a key."""
    for key, by_service in (
        ("gpu", block.gpu),
        ("resources", block.resources),
        ("scale", block.scale),
    ):
        yield from (((key, name), name, True) for name in by_service)
    for key, variant in (("with_gpu", block.with_gpu), ("without_gpu", block.without_gpu)):
        if variant:
            yield from _listed((key, "leave_out"), variant.leave_out)
            yield from (((key, "environment", name), name, True) for name in variant.environment)
    yield from _listed(("one_shots",), block.one_shots)
    yield from _listed(("build", "order"), block.build.order)
    for secret, given in block.secrets.items():
        yield from _listed(("secrets", secret, "services"), given.services)
    if block.migrate:
        yield ("migrate", "service"), block.migrate.service, False
    for index, database in enumerate(block.backup.postgres if block.backup else ()):
        yield ("backup", "postgres", index, "service"), database.service, False
    for index, step in enumerate(block.verify.steps):
        for kind, step_check in (("log", step.log), ("command", step.command)):
            if step_check:
                yield ("verify", "steps", index, kind, "service"), step_check.service, False
    if block.nginx and block.nginx.service:
        yield ("nginx", "service"), block.nginx.service, False
    for index, published in enumerate(block.public):
        yield ("public", index), published.rpartition(":")[0], False


def _listed(key_path: KeyPath, names: tuple[str, ...]) -> Iterator[tuple[KeyPath, str, bool]]:
    yield from (((*key_path, index), name, False) for index, name in enumerate(names))


def _profiles(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    known = sorted(compose.profiles)
    listed: list[tuple[KeyPath, tuple[str, ...]]] = [(("profiles",), block.profiles)]
    for key, variant in (("with_gpu", block.with_gpu), ("without_gpu", block.without_gpu)):
        listed.append(((key, "profiles"), variant.profiles if variant else ()))
    for key_path, names in listed:
        for index, name in enumerate(names):
            if name not in known:
                message = "no service has this profile" + suggestion(name, known)
                yield _problem((*key_path, index), message, name)


def secret_names(block: XGpuhost) -> Iterator[tuple[KeyPath, str]]:
    """Key path and name of the secrets that gpuhost itself uses."""
    if block.source:
        for key in ("deploy_key", "token"):
            if name := getattr(block.source, key):
                yield ("source", key), name
    for host, registry in block.registries.items():
        yield ("registries", host, "password"), registry.password
    if block.nginx and block.nginx.tls:
        for key in ("certificate", "key"):
            if name := getattr(block.nginx.tls, key):
                yield ("nginx", "tls", key), name


def _secrets(block: XGpuhost) -> Iterator[Problem]:
    known = list(block.secrets)
    for named_in, name in secret_names(block):
        if name not in block.secrets:
            yield _problem(
                named_in, "no such secret in x-gpuhost.secrets" + suggestion(name, known), name
            )
    for name, secret in block.secrets.items():
        key_path = ("secrets", name, "value")
        for other in REFERENCE.findall(secret.value or ""):
            if other not in block.secrets:
                yield _problem(key_path, "it uses an unknown secret" + suggestion(other, known))
            elif block.secrets[other].value is not None:
                yield _problem(key_path, f"it uses {other}, which is composed of secrets itself")


def _builds(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    building = {name: service.build for name, service in compose.services.items() if service.build}
    for index, name in enumerate(block.build.order):
        if name in compose.services and name not in building:
            message = "this service has no build" + suggestion("", list(building))
            yield _problem(("build", "order", index), message, name)


def _scaled(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    for name, count in block.scale.items():
        service = compose.services.get(name)
        if service and count > 1 and _publishes(service):
            message = "the service publishes a fixed port, which only one container can use"
            yield _problem(("scale", name), message, count)


def _publishes(service: ComposeService) -> bool:
    """Whether it publishes a fixed port of the host: not a range, not chosen by the engine."""
    return any(len(port.ports) == 1 for port in _ports(service))


def _ports(service: ComposeService) -> Iterator[PublishedPort]:
    for entry in service.ports:
        try:
            yield PublishedPort.parse(entry)
        except BadPort:
            # Compose refuses it, on the host.
            continue


def _public(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    for index, entry in enumerate(block.public):
        name, _, port = entry.rpartition(":")
        if name in compose.services:
            message = _not_public(list(_ports(compose.services[name])), int(port), name, block)
            if message:
                yield _problem(("public", index), message, entry)


def _not_public(ports: list[PublishedPort], number: int, name: str, block: XGpuhost) -> str:
    """Why a port cannot be public as declared; "" if it can, or if only the host can tell."""
    named = [port for port in ports if number in (port.ports or _picked(port))]
    if not named:
        known = sorted({str(n) for port in ports for n in port.ports}, key=int)
        of_file = f"; it publishes {', '.join(known)}" if known else ""
        is_known = not any(port.is_open for port in ports)
        return f"the service publishes no such port{of_file}" if is_known else ""
    public = {
        int(port)
        for service, _, port in (entry.rpartition(":") for entry in block.public)
        if service == name
    }
    missing = min(named[0].ports - public, default=None)
    if missing is not None:
        return f"{name}:{missing} is missing, of the range {named[0].host}"
    if all(port.is_loopback for port in named):
        return f"the file binds it to {named[0].address}"
    return ""


def _picked(port: PublishedPort) -> frozenset[int]:
    """A port for which the engine picks a number: it is named as in the container."""
    inside = port.container
    return frozenset((int(inside),)) if not port.host and inside.isdecimal() else frozenset()


def _upstreams(block: XGpuhost, compose: ComposeFile) -> Iterator[Problem]:
    site = block.nginx
    if site is None:
        return
    upstreams: list[tuple[KeyPath, str]] = [(("nginx", "upstream"), site.upstream)]
    for where, at in site.paths.items():
        if at.upstream:
            upstreams.append((("nginx", "paths", where, "upstream"), at.upstream))
    for key_path, upstream in upstreams:
        host = upstream.rpartition(":")[0]
        if site.where == "container" and host not in compose.services:
            message = "no such service in the Compose file" + suggestion(
                host, list(compose.services)
            )
            yield _problem(key_path, message, upstream)
        if site.where == "host" and host in compose.services:
            message = (
                "the host's nginx cannot reach a service; use a published port, 127.0.0.1:PORT"
            )
            yield _problem(key_path, message, upstream)
