"""Paths of this machine that an app file names."""

from __future__ import annotations

from contextlib import suppress
from pathlib import Path


def local_path(written: str, app_file: Path) -> Path:
    """A path as it is written in an app file: relative to it, absolute, or with ~.

    The ~ of an unknown user stays: then the path does not exist.
    """
    path = Path(written)
    with suppress(RuntimeError):
        path = path.expanduser()
    return app_file.parent / path
