"""Files from templates/, which the wheel carries as gpuhost/templates."""

from __future__ import annotations

from functools import cache
from typing import Any

from jinja2 import Environment, PackageLoader, StrictUndefined


@cache
def _environment() -> Environment:
    return Environment(
        loader=PackageLoader("gpuhost"),
        undefined=StrictUndefined,
        # What is rendered are configuration files, never HTML.
        autoescape=False,  # noqa: S701
        keep_trailing_newline=True,
        trim_blocks=True,
        lstrip_blocks=True,
    )


def render(template: str, **values: Any) -> str:
    """A file from a template; a value that the template needs and does not get is an error.

    **Example:**

    .. code:: python

        render("apt/repository.sources.j2", repository=repository)
    """
    return _environment().get_template(template).render(**values)
