"""Paths of files that gpuhost writes."""

from __future__ import annotations

from typing import Annotated

from pydantic import Field

# In the source only.
OwnPath = Annotated[
    str,
    Field(
        pattern=r"^[^/\x00-\x1f\x7f][^\x00-\x1f\x7f]*$",
        title="a path relative to the project directory",
    ),
]
