"""What of a release differs from Compose in the project's own directory: a line each."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator, Mapping

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.project_files import Kind
from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort, Raw
from gpuhost.release.compose_plan import started
from gpuhost.release.secrets import GivenSecrets
from gpuhost.release.variant import ChosenVariant
from gpuhost.runner.contract import APPS, is_secret_name

VARIABLE = re.compile(r"\$\{?([A-Za-z_][A-Za-z0-9_]*)")


def notes(
    app: App,
    variant: ChosenVariant,
    build_args: Mapping[str, str],
    secrets: GivenSecrets,
) -> Iterator[str]:
    """As far as it is known before the host asks Compose.

    + build_args: of the plan
    """
    yield from _services(app, variant)
    yield from _loopback(app, variant)
    yield from _project_files(app, variant)
    yield from _env_files(app, variant)
    yield from _build_arguments(app, variant, build_args, secrets)


def _services(app: App, variant: ChosenVariant) -> Iterator[str]:
    services = started(app, variant)
    if variant.leave_out:
        yield f"left out on this host: {', '.join(variant.leave_out)}"
    without = [name for name, service in services.items() if service.cards]
    if variant.without_card and without:
        yield f"without the cards that the files reserve: {', '.join(without)}"
    on_host = [name for name, service in services.items() if service.network_mode == "host"]
    if on_host:
        yield (
            f"in the host's network, where their ports are not bound to loopback: "
            f"{', '.join(on_host)}"
        )


def _loopback(app: App, variant: ChosenVariant) -> Iterator[str]:
    bound = [
        f"{name}:{port}"
        for name, service in started(app, variant).items()
        for port in _open_ports(service.ports)
        if f"{name}:{port}" not in app.block.public
    ]
    if bound:
        yield f"published on 127.0.0.1 only, unless x-gpuhost.public lists them: {', '.join(bound)}"


def _open_ports(entries: Iterable[Raw]) -> Iterator[int]:
    """Ports that the file publishes on other addresses than loopback."""
    for entry in entries:
        try:
            port = PublishedPort.parse(entry)
        except BadPort:
            continue
        if not (port.is_loopback or port.is_open or port.is_picked_from_range):
            yield from sorted(port.ports)


def _project_files(app: App, variant: ChosenVariant) -> Iterator[str]:
    """Binds of what the source has: read-only, unless the file says otherwise."""
    kinds, data = app.files.kinds, {f"./{path}" for path in app.block.directories}
    read_only, in_shared = set(), set()
    for service in started(app, variant).values():
        for mount in service.mounts:
            kind = kinds.get(mount.source)
            if kind is None:
                continue
            if mount.source in data or kind in (Kind.ABSENT, Kind.EMPTY):
                in_shared.add(mount.source)
            elif not mount.writable and not mount.read_only:
                read_only.add(mount.source)
    if read_only:
        yield (
            f"files of the project, mounted read-only (`:rw` in the file: writable, for this "
            f"release; x-gpuhost.directories: data): {', '.join(sorted(read_only))}"
        )
    if in_shared:
        place = f"{APPS}/{app.name}/shared"
        yield f"data, kept in {place}: {', '.join(sorted(in_shared))}"


def _env_files(app: App, variant: ChosenVariant) -> Iterator[str]:
    secrets = {f"./{secret.path}" for secret in app.block.secrets.values() if secret.path}
    for name, service in started(app, variant).items():
        for file in service.env_files:
            is_absent = app.files.kinds.get(file.path) is Kind.ABSENT
            if file.required and is_absent and is_of_source(file.path) and file.path not in secrets:
                path = file.path.removeprefix("./")
                yield (
                    f"services.{name}.env_file: the source has no {path}: the host needs "
                    f"{APPS}/{app.name}/shared/{path}, or the app a secret with path: {path}"
                )


def _build_arguments(
    app: App, variant: ChosenVariant, build_args: Mapping[str, str], secrets: GivenSecrets
) -> Iterator[str]:
    given = [("build.args", f"{name}={value}") for name, value in build_args.items()]
    for name, service in started(app, variant).items():
        if service.build:
            given += [(f"services.{name}.build.args", text) for text in service.build.args]
    unsafe = []
    for where, text in given:
        name, _, value = text.partition("=")
        named = {name, *VARIABLE.findall(value)}
        is_secret = is_secret_name(name) or not named.isdisjoint(app.block.secrets)
        if is_secret or secrets.masked(value) != value:
            unsafe.append(f"{where}.{name}")
    if unsafe:
        yield (
            f"the history of an image keeps its build arguments: {', '.join(unsafe)}: if one of "
            "them is a secret, use build.secrets and RUN --mount=type=secret"
        )
