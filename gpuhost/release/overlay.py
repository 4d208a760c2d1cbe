"""The overlay of a source: files beside the app file, for a source that lacks or breaks them."""

from __future__ import annotations

import io
import os
import tarfile
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.appfile.local_path import local_path
from gpuhost.release.archive import BadDirectory, pack_overlay
from gpuhost.runner.contract import why_reserved
from gpuhost.runner.plan import Edit

# How many files a sentence names.
NAMED = 3
# Of this machine: projects are here too.
PROJECTS = ("/usr/local", "/usr/src")


@dataclass(frozen=True)
class Overlay:
    """revision: a hash of the content. files: relative to the source, without directories."""

    revision: str
    content: bytes = field(repr=False)
    files: tuple[str, ...]


def read_overlay(app: App) -> Overlay | None:
    """The overlay that the app file names; None: it names none. Raises BadDirectory."""
    source = app.block.source
    if source is None or source.overlay is None:
        return None
    directory = local_path(source.overlay, app.path)
    _refuse_app_files(directory, app.path)
    packed = pack_overlay(directory)
    with tarfile.open(fileobj=io.BytesIO(packed.content)) as opened:
        files = tuple(_shown(member.name) for member in opened if not member.isdir())
    if not files:
        raise BadDirectory(f"source.overlay {directory} has no files; add some, or remove the key")
    return Overlay(packed.revision, packed.content, files)


def _shown(name: str) -> str:
    """For a message: file names need not be UTF-8."""
    return os.fsencode(name).decode("utf-8", "backslashreplace")


def _refuse_app_files(directory: Path, app_file: Path) -> None:
    real = directory.resolve()
    is_of_project = any(real.is_relative_to(top) for top in PROJECTS)
    if (reason := why_reserved(str(real))) and not is_of_project:
        raise BadDirectory(
            f"source.overlay {directory}: {reason}; name a directory for the overlay alone"
        )
    if app_file.resolve().is_relative_to(directory.resolve()):
        raise BadDirectory(
            f"source.overlay {directory} contains the app file itself; name a directory for the "
            f"overlay alone, such as {app_file.stem}.overlay"
        )


def patches_in_words(overlay: Overlay | None, edits: tuple[Edit, ...]) -> tuple[str, ...]:
    """What is put over the source, and what is edited in it and why."""
    words = []
    if overlay:
        more = ", …" if len(overlay.files) > NAMED else ""
        count = f"{len(overlay.files)} file{'s' if len(overlay.files) > 1 else ''}"
        words.append(f"overlay: {count} ({', '.join(overlay.files[:NAMED])}{more})")
    if edits:
        words.append(f"edits: {', '.join(f'{edit.file}: {edit.reason}' for edit in edits)}")
    return tuple(words)
