"""A local directory as one archive: the same bytes for the same files, on any machine."""

from __future__ import annotations

import gzip
import hashlib
import io
import os
import posixpath
import stat
import tarfile
from collections.abc import Callable, Collection, Iterable, Iterator
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from gpuhost.appfile.compose.paths import leads_out
from gpuhost.release.build_context import BadDirectory as BadDirectory
from gpuhost.release.build_context import BuildContext, included_files
from gpuhost.release.selection import Selection

EXCLUDED = ".git"
# pip compiles what it installs, also the overlays of packaged apps.
COMPILED = "__pycache__"
# As in git: other permission bits depend on this machine's umask.
EXECUTABLE, PLAIN, PRIVATE = 0o755, 0o644, 0o600
EVERYTHING = Selection()


@dataclass(frozen=True)
class Archive:
    """revision: a hash of the uncompressed content."""

    revision: str
    content: bytes


@dataclass(frozen=True)
class _Kind:
    """+ key: what the app file calls the directory
    + must_be_inside: whether a link must not point out of it. Others may: a build and a container
      see them as they do where the project is developed.
    """

    key: str
    included: Callable[[Path], Callable[[str], bool]]
    must_be_inside: Callable[[str], bool]
    selection: Selection = EVERYTHING


def pack(
    directory: Path, contexts: Iterable[BuildContext] = (), selection: Selection = EVERYTHING
) -> Archive:
    """A directory without .git and what .dockerignore excludes from every image.

    + contexts: each has its own .dockerignore; if empty, the directory itself is the context
    + selection: what is sent anyway, and what is not

    Raises BadDirectory.
    """
    return _pack(directory, _source(contexts, selection))


def revision_of(
    directory: Path, contexts: Iterable[BuildContext] = (), selection: Selection = EVERYTHING
) -> str:
    """The revision that `pack` would give, without compressing anything.

    Raises BadDirectory.
    """
    return _hashed(directory, _source(contexts, selection))


def pack_overlay(directory: Path) -> Archive:
    """Every file of a directory: a .dockerignore in it is for the source that it is put over.

    Raises BadDirectory.
    """
    return _pack(directory, _Kind("source.overlay", lambda _: _is_written, lambda _: True))


def _source(contexts: Iterable[BuildContext], selection: Selection) -> _Kind:
    contexts = tuple(contexts)
    included = partial(included_files, contexts=contexts, selection=selection)
    used = {*selection.named, *_paths(contexts)}
    return _Kind("source.directory", included, partial(_leads_to, used), selection)


def _paths(contexts: Iterable[BuildContext]) -> Iterator[str]:
    for context in contexts:
        yield posixpath.normpath(context.directory)
        yield posixpath.normpath(f"{context.directory}/{context.dockerfile}")


def _leads_to(used: Collection[str], name: str) -> bool:
    """Whether the Compose files use the path, or one below it."""
    return any(path == name or path.startswith(f"{name}/") for path in used)


def _is_written(name: str) -> bool:
    return COMPILED not in name.split("/")


def _pack(directory: Path, kind: _Kind) -> Archive:
    compressed = io.BytesIO()
    # No name and no time in gzip's header; level 6 is tar's default.
    with gzip.GzipFile("", "wb", 6, compressed, mtime=0) as packed:
        revision = _hashed(directory, kind, packed)
    return Archive(revision, compressed.getvalue())


def _hashed(directory: Path, kind: _Kind, into: gzip.GzipFile | None = None) -> str:
    if not directory.is_dir():
        raise BadDirectory(
            f"{kind.key} {directory} is not a directory on this machine; it is relative to "
            "the app file"
        )
    stream = _HashingStream(into)
    try:
        _write(directory, kind, stream)
    except RecursionError:
        raise BadDirectory(f"{kind.key} {directory}: its directories are too deep") from None
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise BadDirectory(
            f"{kind.key} {directory} cannot be read: {place}{error.strerror or error}"
        ) from error
    return stream.digest.hexdigest()


class _HashingStream:
    """Hashes what is written, and forwards it if there is a file."""

    def __init__(self, into: gzip.GzipFile | None) -> None:
        self.into = into
        self.digest = hashlib.sha256()

    def write(self, content: bytes) -> int:
        self.digest.update(content)
        return self.into.write(content) if self.into else len(content)


def _write(directory: Path, kind: _Kind, stream: _HashingStream) -> None:
    is_included = kind.included(directory)
    enter = is_included if kind.selection.only_named else _enter_all
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        for name in sorted(_names(directory, enter), key=os.fsencode):
            if is_included(name):
                _add(archive, directory, name, kind)


def _enter_all(_: str) -> bool:
    return True


def _add(archive: tarfile.TarFile, directory: Path, name: str, kind: _Kind) -> None:
    path = directory / name
    status = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else PLAIN
    if stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, EXECUTABLE
        archive.addfile(member)
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.mode = tarfile.SYMTYPE, 0o777
        member.linkname = _link_target(path, name, kind)
        archive.addfile(member)
    elif stat.S_ISREG(status.st_mode):
        member.size = status.st_size
        if name in kind.selection.private:
            member.mode = PRIVATE
        with path.open("rb") as file:
            archive.addfile(member, file)
    # Sockets, pipes and devices are left out, as by Docker.


def _link_target(path: Path, name: str, kind: _Kind) -> str:
    # A Path would drop a leading ./
    target = os.readlink(path)  # noqa: PTH115
    if not kind.must_be_inside(name):
        return target
    if target.startswith("/") or leads_out(posixpath.join(posixpath.dirname(name), target)):
        raise BadDirectory(
            f"{kind.key}: the link {name} points outside, to {target}, which the host "
            "does not have; replace it by what it points to, or remove it"
        )
    return target


def _names(directory: Path, enter: Callable[[str], bool]) -> Iterator[str]:
    """Every entry except .git, relative, with /.

    + enter: whether to look into a directory
    """

    def fail(error: OSError) -> None:
        raise error

    for parent, directories, files in os.walk(directory, onerror=fail):
        base = Path(parent).relative_to(directory).as_posix()
        directories[:] = [
            name
            for name in directories
            if name != EXCLUDED and enter(posixpath.normpath(posixpath.join(base, name)))
        ]
        for name in [*directories, *files]:
            if name != EXCLUDED:
                yield posixpath.normpath(posixpath.join(base, name))
