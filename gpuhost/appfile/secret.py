"""secrets: where each comes from, and which services get it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpuhost.appfile.host_paths import OwnPath
from gpuhost.appfile.section import Line, Section, Service, VariableName


class Secret(Section):
    """One secret: read where pyinfra runs, generated on the host, or composed of others."""

    env: VariableName | None = None
    """Environment variable where pyinfra runs; default: the secret's own name."""
    file: Annotated[Line, Field(min_length=1)] | None = None
    """File where pyinfra runs, relative to the app file; a final newline is removed."""
    command: tuple[str, ...] = ()
    """Command where pyinfra runs that prints it: ["pass", "show", "app/key"]."""
    generate: Literal["hex", "base64"] | None = None
    """Generated once on the host and kept by later releases: the encoding of the random bytes."""
    bytes: Annotated[int, Field(ge=8, le=1024)] = 32
    """How many random bytes to generate."""
    services: tuple[Service, ...] = ()
    """Services that get it; default: all."""
    path: OwnPath | None = None
    """Write it to this file (0600, in the project directory) instead of the environment."""
    min_length: Annotated[int, Field(ge=1)] = 1
    """Minimum length; shorter values are refused."""
    refuse: tuple[str, ...] = ()
    """Values to refuse: defaults of an example, "changeme"."""
    value: str | None = None
    """Template of other secrets, "redis://:$${REDIS_PASSWORD}@redis:6379/0"."""
    internal: bool = False
    """Not given to services: a deploy key, a registry's password."""

    @model_validator(mode="after")
    def _one_origin(self) -> Secret:
        origins = (self.env, self.file, self.command or None, self.generate, self.value)
        if sum(origin is not None for origin in origins) > 1:
            raise ValueError("give only one of env, file, command, generate and value")
        return self

    @model_validator(mode="after")
    def _no_unused_keys(self) -> Secret:
        is_read = self.generate is None and self.value is None
        if "bytes" in self.model_fields_set and self.generate is None:
            raise ValueError("bytes is for generate")
        if not is_read and self.model_fields_set & {"min_length", "refuse"}:
            raise ValueError("min_length and refuse are not for generate or value")
        return self
