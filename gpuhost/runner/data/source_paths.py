"""Paths in a source, which may contain links of its repository.

A release may mount a part of its source into containers that can write there: once it has run, its
source is opened by handle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath

from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown


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


@contextmanager
def open_parent(
    source: Path, path: str, *, make: bool = False
) -> Iterator[tuple[DirectoryHandle, str]]:
    """The directory of a path in the source, also behind links in it, and its name there.

    Raises Failure if it is outside, or OSError.
    """
    whole = Path(os.path.normpath(source / path))
    with open_real(source, whole.parent, make=make) as handle:
        yield handle, whole.name


@contextmanager
def open_real(source: Path, path: Path, *, make: bool = False) -> Iterator[DirectoryHandle]:
    """A directory of the source. + path: absolute. Raises as `open_parent`."""
    root = Path(os.path.realpath(source))
    real = Path(os.path.realpath(path))
    if not real.is_relative_to(root):
        raise Failure(
            f"{shown(os.path.relpath(path, source))}: a link in it leads out of the source",
            fix="replace the link in the source, or declare another path",
        )
    # What became a link since is not followed.
    with DirectoryHandle.open(root) as top:
        names = real.relative_to(root).parts
        with top.descend(names, make=make) as handle:
            yield handle
