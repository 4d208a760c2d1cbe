"""The services that a release runs, as far as their images go: what Compose makes of its files."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from gpuhost.runner.docker.compose import config, section
from gpuhost.runner.state.release import Release


@dataclass(frozen=True)
class Service:
    """One service.

    + image: in full, see `canonical`; the one that Compose gives to a build without a name
    + build: Compose's section, contexts absolute; None: the image comes from a registry
    + is_run: it is started by this release, or it is its migration
    """

    name: str
    image: str
    is_run: bool
    build: Mapping[str, Any] | None = None
    pull_policy: str = ""
    environment: Mapping[str, str] = field(default_factory=dict)


def read(release: Release) -> dict[str, Service]:
    """By name; those too that are left out here, whose images others may be FROM.

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
    plan, its = release.plan, _as_meant(written)
    is_migration = plan.migrate is not None and plan.migrate.service == name
    values = its.get("environment") or {}
    return Service(
        name=name,
        image=canonical(its.get("image") or f"{plan.project}-{name}"),
        is_run=is_migration or name not in plan.leave_out,
        build=its.get("build"),
        pull_policy=its.get("pull_policy") or "",
        environment={key: value for key, value in values.items() if value is not None},
    )


def _as_meant(written: Mapping[str, Any]) -> Mapping[str, Any]:
    """Compose doubles every $ of what it prints, so that it could read it again."""
    meant: Mapping[str, Any] = json.loads(json.dumps(written).replace("$$", "$"))
    return meant
