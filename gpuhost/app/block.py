"""What every part of the x-gpuhost block has in common."""

from __future__ import annotations

from typing import Annotated

from pydantic import AfterValidator, BaseModel, ConfigDict, Field

# Compose's own rule for service names.
Service = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$")]
SecretName = Annotated[str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$")]
Seconds = Annotated[int, Field(ge=1)]


def _stays_inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("no .. in it")
    return path


# Absolute, or relative to the project directory; never out of it.
Path = Annotated[str, Field(min_length=1, pattern=r"^[^\x00\n]+$"), AfterValidator(_stays_inside)]


class Block(BaseModel):
    """Frozen, and every key has to be known."""

    model_config = ConfigDict(extra="forbid", frozen=True, use_attribute_docstrings=True)
