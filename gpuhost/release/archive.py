"""A local directory as one archive: the same bytes for the same files, wherever it is made."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from pathlib import Path

from gpuhost.release.dockerignore import DockerIgnore

NEVER = ".git"
# As in git: who else may read or write here is this machine's umask, and nothing of the app.
EXECUTABLE, PLAIN = 0o755, 0o644


class BadDirectory(ValueError):
    """One sentence: what is wrong with a source directory, and what to do."""


@dataclass(frozen=True)
class BuildContext:
    """What an image is built from. directory: relative to the source; dockerfile: to that."""

    directory: str = "."
    dockerfile: str = "Dockerfile"


@dataclass(frozen=True)
class Archive:
    """revision: a hash of what is in it, whatever compressed it."""

    revision: str
    content: bytes


def pack(directory: Path, contexts: Iterable[BuildContext] = ()) -> Archive:
    """Everything in a directory but .git and what .dockerignore leaves out of every image.

    + contexts: each has rules of its own; without any the directory itself is one

    Raises BadDirectory.
    """
    _require_directory(directory)
    compressed = io.BytesIO()
    # No name and no time in gzip's head; level 6 is tar's own.
    with gzip.GzipFile("", "wb", 6, compressed, mtime=0) as packed:
        revision = _hashed(directory, contexts, packed)
    return Archive(revision, compressed.getvalue())


def revision_of(directory: Path, contexts: Iterable[BuildContext] = ()) -> str:
    """The revision that `pack` would give it; nothing is compressed.

    Raises BadDirectory.
    """
    _require_directory(directory)
    return _hashed(directory, contexts)


def _require_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise BadDirectory(
            f"source.directory {directory} is no directory on this machine; it is relative to the "
            "app file"
        )


def _hashed(
    directory: Path, contexts: Iterable[BuildContext], into: gzip.GzipFile | None = None
) -> str:
    hashing = _Hashing(into)
    try:
        _write(directory, _wanted(directory, contexts), hashing)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise BadDirectory(
            f"source.directory {directory} cannot be read: {place}{error.strerror or error}"
        ) from error
    return hashing.digest.hexdigest()


class _Hashing:
    """A stream that is hashed on its way, or only hashed."""

    def __init__(self, into: gzip.GzipFile | None) -> None:
        self.into = into
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.into.write(content) if self.into else len(content)


def _write(directory: Path, wanted: Callable[[str], bool], stream: _Hashing) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name in sorted(_names(directory), key=os.fsencode):
            if wanted(name):
                _add(archive, directory, name)


def _add(archive: tarfile.TarFile, directory: Path, name: str) -> None:
    path = directory / name
    found = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = EXECUTABLE if found.st_mode & stat.S_IXUSR else PLAIN
    if stat.S_ISDIR(found.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, EXECUTABLE
        archive.addfile(member)
    elif stat.S_ISLNK(found.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, _inside(path, name), 0o777
        archive.addfile(member)
    elif stat.S_ISREG(found.st_mode):
        member.size = found.st_size
        with path.open("rb") as file:
            archive.addfile(member, file)
    # Sockets, pipes and devices are of this machine; Docker leaves them out too.


def _inside(path: Path, name: str) -> str:
    # As it is written: a Path would lose a ./ of it.
    target = os.readlink(path)  # noqa: PTH115
    lands = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or lands == ".." or lands.startswith("../"):
        raise BadDirectory(
            f"source.directory: the link {name} leads out of it, to {target}, which the host does "
            "not have; remove it or name it in .dockerignore"
        )
    return target


def _names(directory: Path) -> Iterator[str]:
    """Every entry but .git, relative, with /."""

    def refuse(error: OSError) -> None:
        raise error

    for parent, directories, files in os.walk(directory, onerror=refuse):
        directories[:] = [name for name in directories if name != NEVER]
        base = Path(parent).relative_to(directory).as_posix()
        for name in [*directories, *files]:
            if name != NEVER:
                yield posixpath.normpath(posixpath.join(base, name))


def _wanted(directory: Path, contexts: Iterable[BuildContext]) -> Callable[[str], bool]:
    rules = [_rules(directory, context) for context in contexts] or [
        _rules(directory, BuildContext())
    ]
    kept = {name for rule in rules for name in rule.kept}

    def wanted(name: str) -> bool:
        if name in kept:
            return True
        about = [rule for rule in rules if rule.relative(name) is not None]
        # What is in no context goes along: a build may name it as an additional one.
        return not about or any(
            not rule.ignore.ignores(inside)
            for rule in about
            if (inside := rule.relative(name)) is not None
        )

    return wanted


@dataclass(frozen=True)
class _Rules:
    """The rules of one context, and what they cannot leave out: the host builds by it."""

    root: str
    ignore: DockerIgnore
    kept: frozenset[str]

    def relative(self, name: str) -> str | None:
        if self.root == ".":
            return name
        inside = name.removeprefix(f"{self.root}/")
        return inside if inside != name else None


def _rules(directory: Path, context: BuildContext) -> _Rules:
    root = posixpath.normpath(context.directory)
    dockerfile = posixpath.normpath(posixpath.join(root, context.dockerfile))
    # A Dockerfile's own rules go before those of its context.
    names = [
        f"{dockerfile}.dockerignore",
        posixpath.normpath(posixpath.join(root, ".dockerignore")),
    ]
    files = [name for name in names if (directory / name).is_file()]
    text = (directory / files[0]).read_text("utf-8", "replace") if files else ""
    return _Rules(root, DockerIgnore.parse(text), frozenset({dockerfile, *files}))
