"""Paths in an unfinished source, which may contain links of its repository."""

from __future__ import annotations

import os
from pathlib import Path, PurePath, PurePosixPath


def through_link(source: Path, name: str) -> str | None:
    """The complaint about a relative path with a component that is a link; None: it has none."""
    path = PurePosixPath(name)
    for part in [*reversed(path.parents), path][1:]:
        if (source / part).is_symlink():
            target = (source / part).readlink()
            return (
                f"{shown(path)} goes through a link of the source, {shown(part)} -> {shown(target)}"
            )
    return None


def shown(path: PurePath | str) -> str:
    """For a message: file names need not be UTF-8."""
    return os.fsencode(path).decode("utf-8", "backslashreplace")
