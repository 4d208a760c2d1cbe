"""What a release is made from, decided once a run: a commit, or the content of a directory."""

from __future__ import annotations

import hashlib
from collections.abc import Iterable
from dataclasses import dataclass, field
from pathlib import Path

from gpuhost.appfile.source import Source
from gpuhost.release import git
from gpuhost.release.archive import BadDirectory, BuildContext, pack
from gpuhost.release.secrets import Given

SHORT = 12


class BadSource(ValueError):
    """One sentence: why there is nothing to release, and what to do."""


@dataclass(frozen=True)
class Resolved:
    """revision: a commit, or a hash; archive: of a directory, to be sent along."""

    revision: str
    archive: bytes | None = field(default=None, repr=False)


def resolve(
    source: Source | None,
    given: Given,
    *,
    path: Path,
    text: bytes,
    contexts: Iterable[BuildContext] = (),
) -> Resolved:
    """The revision that is released. A branch is what its server has at this moment.

    + path: of the app file, which a directory is relative to
    + text: the app file; an app of images only has no other revision
    + contexts: of the images that are built

    Raises BadSource.
    """
    try:
        if source is None:
            return Resolved(hashlib.sha256(text).hexdigest())
        if source.git is not None:
            return Resolved(git.resolve(source, given))
        directory = path.parent / Path(source.directory or ".").expanduser()
        packed = pack(directory, contexts)
        return Resolved(packed.revision, packed.content)
    except (git.BadGit, BadDirectory) as error:
        raise BadSource(str(error)) from error


def short(revision: str) -> str:
    """As people tell revisions apart."""
    return revision[:SHORT]
