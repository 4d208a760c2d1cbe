"""secrets: where each comes from, and which services get it."""

from __future__ import annotations

from typing import Annotated, Literal

from pydantic import Field, model_validator

from gpuhost.appfile.host_paths import OwnPath
from gpuhost.appfile.section import Line, Section, Service, VariableName


class Secret(Section):
    """One secret: given from one of four places, or generated on the host and kept there."""

    env: VariableName | None = None
    """Environment variable where pyinfra runs; the secret's own name if no place is given."""
    file: Annotated[Line, Field(min_length=1)] | None = None
    """File on that machine, relative to the app file; a final newline is dropped."""
    command: tuple[str, ...] = ()
    """Command on that machine that prints it: ["pass", "show", "app/key"]."""
    generate: Literal["hex", "base64"] | None = None
    """Made once on the host and kept over releases: so many random bytes, written like this."""
    bytes: Annotated[int, Field(ge=8, le=1024)] = 32
    """Random bytes of a generated secret."""
    services: tuple[Service, ...] = ()
    """Services that get it; all of them if not given."""
    path: OwnPath | None = None
    """Given as this file (0600, in the project directory) and not in the environment."""
    min_length: Annotated[int, Field(ge=1)] = 1
    """Shorter values are refused."""
    refuse: tuple[str, ...] = ()
    """Values that must not stay: an example's password, "changeme"."""
    value: str | None = None
    """Template for values made of other secrets, "redis://:$${REDIS_PASSWORD}@redis:6379/0"."""
    internal: bool = False
    """Not given to services: a deploy key, a registry's password."""

    @model_validator(mode="after")
    def _one_place(self) -> Secret:
        places = (self.env, self.file, self.command or None, self.generate, self.value)
        if sum(place is not None for place in places) > 1:
            raise ValueError("give one of env, file, command, generate and value")
        return self

    @model_validator(mode="after")
    def _in_effect(self) -> Secret:
        is_given = self.generate is None and self.value is None
        if "bytes" in self.model_fields_set and self.generate is None:
            raise ValueError("bytes goes with generate")
        if not is_given and self.model_fields_set & {"min_length", "refuse"}:
            raise ValueError(
                "min_length and refuse are for a value that is given, not for generate or value"
            )
        return self
