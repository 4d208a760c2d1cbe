"""The base of every section of x-gpuhost, and the types that several sections use.

A type's `title` names it in error messages and in the JSON Schema.
"""

from __future__ import annotations

import posixpath
import re
from typing import Annotated, Any

from pydantic import AfterValidator, BaseModel, BeforeValidator, ConfigDict, Field, WithJsonSchema

# Compose's own rule for service names.
Service = Annotated[str, Field(pattern=r"^[a-zA-Z0-9._-]+$", title="a service's name")]
Profile = Annotated[str, Field(pattern=r"^[a-zA-Z0-9][a-zA-Z0-9_.-]*$", title="a profile's name")]
SecretName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", title="a secret's name, such as API_KEY")
]
VariableName = Annotated[
    str, Field(pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", title="a variable's name, such as HF_ENDPOINT")
]
# At most ten years: more overflows the timers of some programs.
Seconds = Annotated[int, Field(ge=1, le=315_360_000)]
# More than any host has.
MAX_GB = 1_000_000


def stays_inside(path: str) -> str:
    if ".." in path.split("/"):
        raise ValueError("a path without ..")
    return path


def stays_inside_if_absolute(path: str) -> str:
    return stays_inside(path) if path.startswith("/") else path


# Absolute, or relative to the project directory. It may be above that; references.py checks that
# it does not lead out of the source.
ProjectPath = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]+$", title="a path"),
    AfterValidator(stays_inside_if_absolute),
]
# Absolute, or relative to the source, without ..
Path = Annotated[
    str,
    Field(pattern=r"^[^\x00-\x1f\x7f]+$", title="a path"),
    AfterValidator(stays_inside),
]


def _normalized(path: str) -> str:
    return posixpath.normpath(stays_inside(path))


# A file of the source.
SourcePath = Annotated[
    str,
    Field(pattern=r"^[^/~\x00-\x1f\x7f][^\x00-\x1f\x7f]*$", title="a path relative to the source"),
    AfterValidator(_normalized),
]


def with_port(address: str) -> str:
    """An address that ends in a valid port."""
    if not 1 <= int(address.rpartition(":")[2]) <= 65535:
        raise ValueError("the port must be a number from 1 to 65535")
    return address


# One line of text that goes into a file or a command line.
Line = Annotated[str, Field(pattern=r"^[^\x00-\x1f\x7f]*$", title="text on one line")]


def _to_text(value: Any) -> Any:
    """Integers and booleans as text. Not floats: 1.10 would become 1.1."""
    if isinstance(value, bool):
        return str(value).lower()
    return str(value) if isinstance(value, int) else value


Text = Annotated[
    str,
    BeforeValidator(_to_text),
    WithJsonSchema({"type": ["string", "integer", "boolean"], "title": "text"}),
]


def _is_regex(value: str) -> str:
    try:
        re.compile(value)
    except (re.error, OverflowError, RecursionError) as error:
        raise ValueError(f"a valid regular expression ({error})") from None
    return value


Regex = Annotated[str, AfterValidator(_is_regex), Field(title="a regular expression")]


class Section(BaseModel):
    """A mapping of the app file: frozen, and unknown keys are errors."""

    # Build validators when the first app file is read: most commands read none.
    model_config = ConfigDict(
        allow_inf_nan=False,
        defer_build=True,
        extra="forbid",
        frozen=True,
        use_attribute_docstrings=True,
    )
