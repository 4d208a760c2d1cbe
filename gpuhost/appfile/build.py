"""build: the images that are made on the host, one at a time."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

from gpuhost.appfile.section import MOST_GB, Path, Seconds, Section, Service, Text, VariableName

Image = Annotated[
    str, Field(pattern=r"^[A-Za-z0-9][A-Za-z0-9_./:@-]*$", title='an image, such as "base:latest"')
]


class Base(Section):
    """An image that Dockerfiles are FROM and that no service carries."""

    context: Path = "."
    """Build context, relative to the source."""
    dockerfile: Path = "Dockerfile"
    """Relative to the context."""


class Build(Section):
    """Builds run one after the other: no parallel limit of Compose reaches BuildKit."""

    order: tuple[Service, ...] = ()
    """Services in the order to build them; derived from the Dockerfiles if not given."""
    bases: dict[Image, Base] = {}
    """Image tag to the Dockerfile that makes it; built first, and only where it is missing."""
    args: dict[VariableName, Text] = {}
    """Build arguments beside those of the host's setting build_args."""
    no_cache: bool = False
    """Build every step anew."""
    memory_gb: Annotated[float, Field(ge=0, le=MOST_GB)] = 0
    """Memory, available and swap together, that the largest build needs."""
    disk_gb: Annotated[float, Field(ge=0, le=MOST_GB)] = 0
    """Free disk where images are kept that the builds need."""
    step_limit_s: Seconds = 3600
    """The longest that one image may take."""
