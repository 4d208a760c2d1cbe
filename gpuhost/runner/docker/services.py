"""The services of a release: their images and builds, from its resolved model."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.runner.docker.compose import config
from gpuhost.runner.docker.resolved_model import is_left_out
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
    """By name; also builds of those that are left out: others may be FROM their images.

    Raises Failure.
    """
    sections = config(release)["services"]
    return {name: _service(release, name, written) for name, written in sections.items()}


def canonical(image: str) -> str:
    """The one spelling of an image's name: "docker.io/library/redis" is "redis:latest"."""
    for default in ("docker.io/", "index.docker.io/", "library/"):
        image = image.removeprefix(default)
    has_tag = "@" in image or ":" in image.rpartition("/")[2]
    return image if has_tag else f"{image}:latest"


def image_of(project: str, service: str, section: Mapping[str, Any]) -> str:
    """The image's name in the user's file, or Compose's default name."""
    return str(section.get("image") or f"{project}-{service}")


def _service(release: Release, name: str, written: Mapping[str, Any]) -> Service:
    plan, section = release.plan, _unescape(written)
    values = section.get("environment") or {}
    return Service(
        name=name,
        image=canonical(image_of(plan.project, name, section)),
        is_run=not is_left_out(section),
        build=section.get("build"),
        pull_policy=section.get("pull_policy") or "",
        environment={key: value for key, value in values.items() if value is not None},
    )


def _unescape(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Compose doubles every $ in its output."""
    section: Mapping[str, Any] = json.loads(json.dumps(written).replace("$$", "$"))
    return section
