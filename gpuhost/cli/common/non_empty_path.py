"""The type of an argument that is a path."""

from __future__ import annotations

import os
from typing import Any

import click


class NonEmptyPath(click.Path):
    """A path. An empty one is an unset shell variable, not the current directory."""

    def convert(self, value: Any, param: click.Parameter | None, ctx: click.Context | None) -> Any:
        if not os.fspath(value):
            name = param.opts[0] if param else "a path"
            raise click.ClickException(f"{name} is empty: give a path, or omit it")
        return super().convert(value, param, ctx)
