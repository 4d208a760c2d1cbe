"""What a release is built from: a commit, or the content of a directory."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.app import App
from gpuhost.release import git
from gpuhost.release.archive import BadDirectory, pack, revision_of
from gpuhost.release.overlay import Overlay
from gpuhost.release.secrets import GivenSecrets
from gpuhost.release.shipping import build_contexts, has_files, selection

SHORT = 12


class BadSource(ValueError):
    """One sentence: why the source cannot be used, and what to do."""


@dataclass(frozen=True)
class ResolvedSource:
    """revision: a commit, or a hash; archive: of a directory, sent with the release.

    + overlay: what is put over it on the host
    """

    revision: str
    archive: bytes | None = field(default=None, repr=False)
    overlay: Overlay | None = None


def resolve_source(app: App, secrets: GivenSecrets) -> ResolvedSource:
    """The revision to release. A branch is resolved to its newest commit.

    Raises BadSource.
    """
    source = app.block.source
    try:
        if source and source.git is not None:
            return ResolvedSource(git.resolve_ref(source, secrets))
        if source is None and not has_files(app):
            return ResolvedSource(_hash_of_file(app))
        packed = pack(_directory(app), tuple(build_contexts(app)), selection(app))
        return ResolvedSource(packed.revision, packed.content)
    except (git.BadGit, BadDirectory) as error:
        raise BadSource(str(error)) from error


def local_revision(app: App) -> str | None:
    """The revision, without the archive; None if only a git server knows it.

    Raises BadDirectory.
    """
    source = app.block.source
    if source and source.git is not None:
        return source.ref if git.COMMIT.fullmatch(source.ref) else None
    if source is None and not has_files(app):
        return _hash_of_file(app)
    return revision_of(_directory(app), tuple(build_contexts(app)), selection(app))


def _directory(app: App) -> Path:
    """Raises BadDirectory: a build context is missing."""
    directory = app.directory or Path()
    if app.block.source is None:
        for context in build_contexts(app):
            if not (directory / context.directory).is_dir():
                raise BadDirectory(
                    f"{app.path}: the build context {context.directory} is not a directory beside "
                    "the app file; set x-gpuhost.source to where the project is"
                )
    return directory


def _hash_of_file(app: App) -> str:
    """Of an app of images only."""
    return hashlib.sha256(app.text).hexdigest()


def short_revision(revision: str) -> str:
    """The revision in messages."""
    return revision[:SHORT]
