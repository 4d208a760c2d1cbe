"""What a release is built from: a commit, or the content of a directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.source import Source
from gpuhost.release import git
from gpuhost.release.archive import BadDirectory, pack
from gpuhost.release.build_context import BuildContext
from gpuhost.release.overlay import Overlay
from gpuhost.release.secrets import GivenSecrets

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


def resolve_source(
    source: Source | None,
    secrets: GivenSecrets,
    *,
    path: Path,
    text: bytes,
    contexts: Iterable[BuildContext] = (),
) -> ResolvedSource:
    """The revision to release. A branch is resolved to its newest commit.

    + path: of the app file; a directory is relative to it
    + text: the app file, whose hash is the revision of an app of images only
    + contexts: of the images that are built

    Raises BadSource.
    """
    try:
        if source is None:
            return ResolvedSource(hashlib.sha256(text).hexdigest())
        if source.git is not None:
            return ResolvedSource(git.resolve_ref(source, secrets))
        directory = path.parent / Path(source.directory or ".").expanduser()
        packed = pack(directory, contexts)
        return ResolvedSource(packed.revision, packed.content)
    except (git.BadGit, BadDirectory) as error:
        raise BadSource(str(error)) from error


def short_revision(revision: str) -> str:
    """The revision in messages."""
    return revision[:SHORT]
