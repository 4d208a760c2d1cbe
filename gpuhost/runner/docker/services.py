"""The services of a release: their images and builds, from `docker compose config`."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.runner.docker.compose import config, section
from gpuhost.runner.state.release import Release


@dataclass(frozen=True)
class Service:
    """A service.

    + image: the full name, see `canonical`; Compose's default name for a build without one
    + build: Compose's section, contexts absolute; None: the image comes from a registry
    + is_run: the release starts it, or it is the migration
    """

    name: str
    image: str
    is_run: bool
    build: Mapping[str, Any] | None = None
    pull_policy: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def read(release: Release) -> dict[str, Service]:
    """By name; also those that are left out, whose images others may be FROM.

    Raises Failure.
    """
    sections = dict(config(release)["services"])
    migrate = release.plan.migrate
    if migrate and migrate.service not in sections:
        sections[migrate.service] = section(release, migrate.service)
    return {name: _service(release, name, written) for name, written in sections.items()}


def canonical(image: str) -> str:
    """The one spelling of an image's name: "docker.io/library/redis" is "redis:latest"."""
    for default in ("docker.io/", "index.docker.io/", "library/"):
        image = image.removeprefix(default)
    has_tag = "@" in image or ":" in image.rpartition("/")[2]
    return image if has_tag else f"{image}:latest"


def _service(release: Release, name: str, written: Mapping[str, Any]) -> Service:
    plan, section = release.plan, _unescape(written)
    is_migration = plan.migrate is not None and plan.migrate.service == name
    values = section.get("environment") or {}
    return Service(
        name=name,
        image=canonical(section.get("image") or f"{plan.project}-{name}"),
        is_run=is_migration or name not in plan.leave_out,
        build=section.get("build"),
        pull_policy=section.get("pull_policy") or "",
        environment={key: value for key, value in values.items() if value is not None},
    )


def _unescape(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Compose doubles every $ in its output."""
    section: Mapping[str, Any] = json.loads(json.dumps(written).replace("$$", "$"))
    return section
