"""Puts the files of `source.overlay` over the source of a release."""

from __future__ import annotations

import os
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.data import archive
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.files import clear
from gpuhost.runner.lib.source_paths import leads_out, through_link
from gpuhost.runner.state.release import Release

KEY = "x-gpuhost.source.overlay"
# Its hooks and its configuration are programs.
GIT = ".git"
FIX = "correct the overlay beside the app file, and release again"


def lay_over(release: Release, source: Path) -> None:
    """Add the files of the overlay to the source, and replace those that the source has too.

    Everything is checked before the first file is moved. Raises Failure.
    """
    unpacked = release.paths.unpacked_overlay
    clear(unpacked)
    try:
        archive.unpack(release.paths.overlay, unpacked)
        _lay_over(release, source, unpacked)
    finally:
        # After a failure it may be what fills the disk.
        with suppress(OSError), abort.cleanup():
            clear(unpacked)


def _lay_over(release: Release, source: Path, unpacked: Path) -> None:
    names = sorted(_names(unpacked))
    problems = [text for name in names if (text := _problem(name, unpacked / name, source))]
    if problems:
        raise Failure(f"{KEY}: {'; '.join(problems)}", fix=FIX)
    files = [name for name in names if _is_file(unpacked / name)]
    replaced = [name for name in files if (source / name).exists()]
    for name in names:
        _put(unpacked / name, source / name)
    _require_links_inside(source, files)
    for verb, some in (("adds", set(files) - set(replaced)), ("replaces", replaced)):
        if some:
            release.log.write(
                f"overlay {verb} {len(some)} files: {', '.join(map(shown, sorted(some)))}"
            )


def _names(unpacked: Path) -> Iterator[str]:
    """Every file, link and directory, relative. A link is not followed."""
    for parent, directories, files in os.walk(unpacked):
        base = Path(parent).relative_to(unpacked)
        yield from (str(base / name) for name in (*directories, *files))


def _is_file(path: Path) -> bool:
    return path.is_symlink() or not path.is_dir()


def _problem(name: str, laid: Path, source: Path) -> str | None:
    """Why this entry cannot be put over the source."""
    if GIT in Path(name).parts:
        return f"{shown(name)} is git's own"
    if complaint := through_link(source, name):
        return complaint
    there = source / name
    if _is_file(laid) and there.is_dir():
        return f"{shown(name)} is a file, but a directory in the source"
    if not _is_file(laid) and there.exists() and not there.is_dir():
        return f"{shown(name)} is a directory, but a file in the source"
    return None


def _put(laid: Path, there: Path) -> None:
    if _is_file(laid):
        # A rename: another name of the same file in the source keeps its content.
        laid.replace(there)
    else:
        there.mkdir(exist_ok=True)


def _require_links_inside(source: Path, files: list[str]) -> None:
    """Resolved in place: a link of the overlay may continue through one of the source."""
    for name in files:
        path = source / name
        if path.is_symlink() and leads_out(source, name):
            link = f"{shown(name)} -> {shown(path.readlink())}"
            raise Failure(f"{KEY}: the link {link} leads out of the source", fix=FIX)
