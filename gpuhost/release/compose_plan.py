"""The plan's fields about the Compose files: for the runner, which asks Compose what they mean."""

from __future__ import annotations

import posixpath
from collections.abc import Iterator
from typing import Any

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.model import ComposeService
from gpuhost.appfile.compose.mounts import is_of_source
from gpuhost.appfile.compose.variables import DOTENV
from gpuhost.release.variant import ChosenVariant
from gpuhost.runner import plan


def started(app: App, variant: ChosenVariant) -> dict[str, ComposeService]:
    """The services that run here, and the migration."""
    migrate = app.block.migrate.service if app.block.migrate else None
    return {
        name: service
        for name, service in app.compose.services.items()
        if name == migrate
        or (name not in variant.leave_out and service.is_started(variant.profiles))
    }


def compose_fields(app: App, variant: ChosenVariant) -> dict[str, Any]:
    """Fields of the plan that the block does not have, or that are decided elsewhere."""
    files = app.files
    return {
        "compose": files.files,
        "inline": files.inline,
        "env_files": tuple(_env_files(app)),
        "root_dotenv": files.root_dotenv,
        "optional": files.uses.optional(started(app, variant)),
        "writable": tuple(_writable(app)),
        "resources": tuple(
            plan.Resources(name, one.memory_gb or 0, one.shm_gb or 0, one.cpus or 0)
            for name, one in app.block.resources.items()
        ),
        "environment": {name: dict(values) for name, values in variant.environment.items()},
        "without_card": variant.without_card,
    }


def _env_files(app: App) -> list[str]:
    """Files in the source that Compose reads, or may read, for the environment of services."""
    of_services = {
        file.path.removeprefix("./")
        for service in app.compose.services.values()
        for file in service.env_files
        if is_of_source(file.path)
    }
    return sorted(of_services | set(app.files.env_files))


def _writable(app: App) -> Iterator[str]:
    """Binds of the source that the file itself declares writable."""
    for name, service in app.compose.services.items():
        for mount in service.mounts:
            if mount.writable and is_of_source(mount.source):
                # As Compose writes it: "/etc/conf/" is "/etc/conf".
                yield f"{name}:{posixpath.normpath(mount.target)}"


def refused_variables(app: App, variant: ChosenVariant) -> list[str]:
    """Variables without a value or default, of what runs here: a line each."""
    lines = []
    for use in app.files.uses.refused(started(app, variant)):
        example = app.files.examples.get(use.name)
        hint = f" ({example})" if example else ""
        lines.append(f"{use.where}: ${{{use.name}}} is not set{hint}")
    if lines:
        each = "them" if len(lines) > 1 else "it"
        lines[-1] += (
            f"; set {each} in x-gpuhost.variables, as a secret, or in {DOTENV} beside the Compose "
            "file"
        )
    return lines
