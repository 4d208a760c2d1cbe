"""A local directory as one archive: the same bytes for the same files, on any machine."""

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
from gpuhost.release.selection import Selection

EXCLUDED = ".git"
# As in git: other permission bits depend on this machine's umask.
EXECUTABLE, PLAIN, PRIVATE = 0o755, 0o644, 0o600
EVERYTHING = Selection()


class BadDirectory(ValueError):
    """One sentence: what is wrong with a source directory, and what to do."""


@dataclass(frozen=True)
class BuildContext:
    """directory: relative to the source; dockerfile: relative to the directory."""

    directory: str = "."
    dockerfile: str = "Dockerfile"


@dataclass(frozen=True)
class Archive:
    """revision: a hash of the uncompressed content."""

    revision: str
    content: bytes


def pack(
    directory: Path, contexts: Iterable[BuildContext] = (), selection: Selection = EVERYTHING
) -> Archive:
    """A directory without .git and what .dockerignore excludes from every image.

    + contexts: each has its own .dockerignore; if empty, the directory itself is the context
    + selection: what is sent anyway, and what is not

    Raises BadDirectory.
    """
    _require_directory(directory)
    compressed = io.BytesIO()
    # No name and no time in gzip's header; level 6 is tar's default.
    with gzip.GzipFile("", "wb", 6, compressed, mtime=0) as packed:
        revision = _hashed(directory, contexts, selection, packed)
    return Archive(revision, compressed.getvalue())


def revision_of(
    directory: Path, contexts: Iterable[BuildContext] = (), selection: Selection = EVERYTHING
) -> str:
    """The revision that `pack` would give, without compressing anything.

    Raises BadDirectory.
    """
    _require_directory(directory)
    return _hashed(directory, contexts, selection)


def _require_directory(directory: Path) -> None:
    if not directory.is_dir():
        raise BadDirectory(
            f"source.directory {directory} is not a directory on this machine; it is relative to "
            "the app file"
        )


def _hashed(
    directory: Path,
    contexts: Iterable[BuildContext],
    selection: Selection,
    into: gzip.GzipFile | None = None,
) -> str:
    stream = _HashingStream(into)
    try:
        _write(directory, _is_included(directory, contexts, selection), selection, stream)
    except OSError as error:
        place = f"{error.filename}: " if error.filename else ""
        raise BadDirectory(
            f"source.directory {directory} cannot be read: {place}{error.strerror or error}"
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


def _write(
    directory: Path,
    is_included: Callable[[str], bool],
    selection: Selection,
    stream: _HashingStream,
) -> None:
    with tarfile.open(fileobj=stream, mode="w|", format=tarfile.PAX_FORMAT) as archive:  # type: ignore[call-overload]
        enter = is_included if selection.only_named else _enter_all
        for name in sorted(_names(directory, enter), key=os.fsencode):
            if is_included(name):
                _add(archive, directory, name, private=name in selection.private)


def _enter_all(_: str) -> bool:
    return True


def _add(archive: tarfile.TarFile, directory: Path, name: str, *, private: bool) -> None:
    path = directory / name
    status = path.lstat()
    member = tarfile.TarInfo(name)
    member.mode = EXECUTABLE if status.st_mode & stat.S_IXUSR else PLAIN
    if stat.S_ISDIR(status.st_mode):
        member.type, member.mode = tarfile.DIRTYPE, EXECUTABLE
        archive.addfile(member)
    elif stat.S_ISLNK(status.st_mode):
        member.type, member.linkname, member.mode = tarfile.SYMTYPE, _link_target(path, name), 0o777
        archive.addfile(member)
    elif stat.S_ISREG(status.st_mode):
        member.size, member.mode = status.st_size, PRIVATE if private else member.mode
        with path.open("rb") as file:
            archive.addfile(member, file)
    # Sockets, pipes and devices are left out, as by Docker.


def _link_target(path: Path, name: str) -> str:
    # A Path would drop a leading ./
    target = os.readlink(path)  # noqa: PTH115
    resolved = posixpath.normpath(posixpath.join(posixpath.dirname(name), target))
    if target.startswith("/") or resolved == ".." or resolved.startswith("../"):
        raise BadDirectory(
            f"source.directory: the link {name} points outside, to {target}, which the host "
            "does not have; remove it or add it to .dockerignore"
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


def _is_included(
    directory: Path, contexts: Iterable[BuildContext], selection: Selection
) -> Callable[[str], bool]:
    default = [] if selection.only_named else [_rules(directory, BuildContext())]
    rules = [_rules(directory, context) for context in contexts] or default
    kept = {name for rule in rules for name in rule.kept}
    roots = [rule.root for rule in rules]

    def is_included(name: str) -> bool:
        if name in kept:
            return True
        decided = selection.decides(name, roots)
        if decided is not None:
            return decided
        applying = [rule for rule in rules if rule.relative(name) is not None]
        # Files outside every context are included: a build may use an additional context.
        return not applying or any(
            not rule.ignore.ignores(inside)
            for rule in applying
            if (inside := rule.relative(name)) is not None
        )

    return is_included


@dataclass(frozen=True)
class _Rules:
    """The rules of one context. kept: files the build needs, which no rule excludes."""

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
    # A Dockerfile's own .dockerignore takes precedence over its context's.
    names = [
        f"{dockerfile}.dockerignore",
        posixpath.normpath(posixpath.join(root, ".dockerignore")),
    ]
    files = [name for name in names if (directory / name).is_file()]
    text = (directory / files[0]).read_text("utf-8", "replace") if files else ""
    return _Rules(root, DockerIgnore.parse(text), frozenset({dockerfile, *files}))
