"""Reads what a release's source and shared/ have at a path, and keeps files that are mounted.

files/DIGEST/NAME is a copy by content: a changed file has another path, so that its container is
replaced; an unchanged one has the same in every release.
"""

from __future__ import annotations

import hashlib
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.contract import EXAMPLE_SUFFIXES, NOT_THERE, PLACEHOLDERS
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle, Entry
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.files import clear, pieces, sync_directory
from gpuhost.runner.lib.room import Room, on_disk, require_left
from gpuhost.runner.lib.source_paths import resolved
from gpuhost.runner.resolved.path_facts import ABSENT, DIRECTORY, EMPTY, FILE, PathFacts

DIGITS = 16
# Not the project's content, and different in each checkout.
GIT = ".git"
# Levels of directories.
DEEPEST = 256
FREE_SPACE = "free disk space: the containers mount a copy of the source's files"


def read(source: Path, shared: Path, paths: Iterable[str]) -> dict[str, PathFacts]:
    """+ paths: relative to both"""
    return {path: _facts(source, shared, path) for path in paths}


def keep(source: Path, path: str, digest: str, files: Path) -> bool:
    """Copy a file or directory of the source to files/, unless it is there.

    Returns whether the copy that was there had been changed by hand; it is replaced.

    Raises Failure.
    """
    target, real = files / digest, resolved(source / path)
    name = _name(path)
    has_copy = (target / name).exists()
    if has_copy and digest_of(target / name, name) == digest:
        return False
    files.mkdir(mode=0o700, exist_ok=True)
    for left in files.glob(".*"):
        clear(left)
    temporary, old = files / f".{digest}.new", files / f".{digest}.old"
    temporary.mkdir()
    try:
        _copy_all(real, _skipped(source, real), temporary, name)
    except BaseException as error:
        # It may be what fills the disk.
        with suppress(OSError), abort.cleanup():
            clear(temporary)
        if isinstance(error, OSError):
            reason = error.strerror
            raise Failure(f"{path} of the source cannot be copied: {reason}") from None
        raise
    abort.in_background(os.sync)
    if target.exists():
        clear(old)
        target.rename(old)
    temporary.rename(target)
    sync_directory(files)
    clear(old)
    return has_copy


def _copy_all(real: Path, skip: str, into: Path, name: str) -> None:
    """Raises Failure or OSError."""
    what = f"to copy {shown(name)} of the source"
    with DirectoryHandle.open(into) as directory:
        sizes = (entry.state.st_size * entry.is_file for _, entry in _entries(real, skip))
        Room.of(directory).require(sum(map(on_disk, sizes)), what, str(into.parent), FREE_SPACE)
        for inside, entry in _entries(real, skip):
            _copy(entry, into / f"{name}{inside}", directory)


def _copy(entry: Entry, target: Path, directory: DirectoryHandle) -> None:
    """Raises Failure or OSError. + directory: on the same disk"""
    if entry.is_link:
        target.symlink_to(entry.parent.link_target(entry.name))
    elif entry.is_directory:
        target.mkdir()
        target.chmod(stat.S_IMODE(entry.state.st_mode) | 0o700)
    elif entry.is_file:
        with entry.parent.read(entry.name) as content, target.open("xb") as file:
            for piece in pieces(content):
                require_left(directory, "a copy of the source's files", FREE_SPACE)
                file.write(piece)
            os.fchmod(file.fileno(), stat.S_IMODE(entry.state.st_mode))


def _name(path: str) -> str:
    """In files/; the source itself has no name of its own."""
    return "source" if path == "." else Path(path).name


def _skipped(source: Path, real: Path) -> str:
    """A name that is skipped in a directory of the source."""
    return GIT if resolved(source) == real else ""


def _facts(source: Path, shared: Path, path: str) -> PathFacts:
    real = resolved(source / path)
    if not real.is_relative_to(resolved(source)):
        return PathFacts(leads_out=True)
    kind = _kind(real)
    has_content = kind in (FILE, DIRECTORY)
    return PathFacts(
        kind,
        _kind(shared / path),
        digest_of(real, _name(path), _skipped(source, real)) if has_content else "",
        examples(source / path) if kind == ABSENT else (),
    )


def _kind(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return ABSENT
    if not stat.S_ISDIR(state.st_mode):
        return FILE
    return DIRECTORY if _has_content(path) else EMPTY


def _has_content(directory: Path) -> bool:
    """Whether it has a file that is no placeholder. A container may have made any tree there."""
    with suppress(*NOT_THERE), DirectoryHandle.open(directory) as top:
        return any(_is_content(entry) for name in top.iterate() for entry in top.walk(name))
    return False


def _is_content(entry: Entry) -> bool:
    if entry.is_directory:
        return entry.path.count("/") > DEEPEST
    return entry.name not in PLACEHOLDERS


def examples(path: Path) -> tuple[str, ...]:
    """Files beside a missing one that show what it should contain."""
    names = (f"{path.name}{suffix}" for suffix in EXAMPLE_SUFFIXES)
    # Not Path.is_file: it raises OSError for a name that is too long.
    return tuple(name for name in names if os.path.isfile(path.parent / name))  # noqa: PTH113


def digest_of(path: Path, name: str, skip: str = "") -> str:
    """A hash of names, modes and content, without times and owners. A file may be large.

    + name: its own; that of a link to it is another
    + skip: a name in it that does not count

    Raises Failure or OSError.
    """
    whole = hashlib.sha256(name.encode(errors="surrogateescape"))
    for inside, entry in _entries(path, skip):
        mode = entry.state.st_mode
        said = f"{inside} {stat.S_IFMT(mode):o} {stat.S_IMODE(mode):o}"
        whole.update(hashlib.sha256(said.encode(errors="surrogateescape")).digest())
        if entry.is_link:
            target = os.fsencode(entry.parent.link_target(entry.name))
            whole.update(hashlib.sha256(target).digest())
        elif entry.is_file:
            whole.update(_hashed(entry))
    return whole.hexdigest()[:DIGITS]


def _hashed(entry: Entry) -> bytes:
    content = hashlib.sha256()
    with entry.parent.read(entry.name) as file:
        for piece in pieces(file):
            content.update(piece)
    return content.digest()


def _entries(path: Path, skip: str) -> Iterator[tuple[str, Entry]]:
    """What is at a path, with its path below it: "", "/a", "/a/b". Raises Failure or OSError."""
    with DirectoryHandle.open(path.parent) as above:
        for entry in above.walk(path.name):
            inside = entry.path.removeprefix(path.name)
            if skip and skip in inside.split("/"):
                continue
            if inside.count("/") > DEEPEST:
                raise Failure(
                    f"{shown(path.name)} has directories in more than {DEEPEST} levels",
                    fix="remove them from the source",
                )
            yield inside, entry
