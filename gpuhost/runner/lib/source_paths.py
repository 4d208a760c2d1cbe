"""Paths in a source, which may contain links of its repository.

A release may mount a part of its source into containers that can write there: once it has run, its
source is opened by handle.
"""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure, explained
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.sizes import format_size

# Bytes of a text that the runner reads: no Compose file, Dockerfile or .env of a project is longer.
LARGEST = 1 << 20
FIX = "declare another path: this one leads to a place where not even root may look"


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
    root, real = resolved(source), resolved(path)
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


def read_text(source: Path, path: Path) -> str | None:
    """The text of a file of the source, also behind links in it; None: the file does not exist.

    A pipe or a device is none. Raises Failure if a link leads out, or the file is too large.
    """
    content = read_bytes(source, path, LARGEST)
    return None if content is None else content.decode("utf-8", "replace")


def read_bytes(source: Path, path: Path, largest: int) -> bytes | None:
    """Like `read_text`. + largest: in bytes"""
    real = resolved(path)
    if real == resolved(source):
        return None
    name = f"{shown(os.path.relpath(path, source))} in the source"
    try:
        with open_real(source, real.parent) as directory, directory.read(real.name) as file:
            return read_whole(file, largest, name)
    except OSError:
        return None


def read_whole(file: BinaryIO, largest: int, name: str) -> bytes:
    """Raises Failure if it is larger, or OSError. + name: for the message"""
    content = file.read(largest + 1)
    if len(content) > largest:
        raise Failure(
            f"{name} has {format_size(os.fstat(file.fileno()).st_size)}; the largest that is read "
            f"is {format_size(largest)}",
            fix="make it smaller: move what is not needed to another file",
        )
    return content


def leads_out(source: Path, path: str) -> bool:
    """Whether a link in a path of the source leads out of it. Raises Failure."""
    return not resolved(source / path).is_relative_to(resolved(source))


def resolved(path: Path) -> Path:
    """The path without links, also of a link to nothing, and of links in a circle.

    Raises Failure for a chain of links that is longer than any system follows, for NUL, which no
    name has, and where not even root may look.
    """
    if "\0" in str(path):
        raise Failure(f"{shown(path)}: not a path", fix="correct the path")
    try:
        with explained(f"{shown(path)} cannot be followed", FIX):
            return Path(os.path.realpath(path))
    except RecursionError:
        raise Failure(
            f"{shown(path.name)}: a chain of too many links", fix="replace the links in the source"
        ) from None
