"""build: images that are built on the host, one at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gpuhost.appfile.section import MAX_GB, Path, Seconds, Section, Service, Text, VariableName

Image = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:@-]*$", title='an image, such as "base:latest"')
]


class BaseImage(Section):
    """An image that Dockerfiles use in FROM and that no service builds."""

    context: Path = "."
    """Build context, relative to the source."""
    dockerfile: Path = "Dockerfile"
    """Relative to the context."""


class Build(Section):
    """Images are built one after the other: BuildKit ignores Compose's limit of parallel builds."""

    order: tuple[Service, ...] = ()
    """Services in build order; default: derived from the Dockerfiles."""
    bases: dict[Image, BaseImage] = {}
    """Base images by tag; built first, and only if missing on the host."""
    args: dict[VariableName, Text] = {}
    """Build arguments; they win over the host's setting build_args."""
    no_cache: bool = False
    """Build without cache."""
    memory_gb: Annotated[float, Field(ge=0, le=MAX_GB)] = 0
    """Available memory and free swap, together, that the largest build needs."""
    disk_gb: Annotated[float, Field(ge=0, le=MAX_GB)] = 0
    """Free disk that the builds need where images are stored."""
    step_limit_s: Seconds = 3600
    """Time limit for one image."""
