"""Reads what a release's source and shared/ have at a path, and keeps files that are mounted.

files/DIGEST/NAME is a copy by content: a changed file has another path, so that its container is
replaced; an unchanged one has the same in every release.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

from gpuhost.runner.contract import EXAMPLE_SUFFIXES, has_content
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.files import clear, pieces, sync_directory
from gpuhost.runner.resolved.path_facts import ABSENT, DIRECTORY, EMPTY, FILE, PathFacts

DIGITS = 16
# Not the project's content, and different in each checkout.
GIT = ".git"


def read(source: Path, shared: Path, paths: Iterable[str]) -> dict[str, PathFacts]:
    """+ paths: relative to both"""
    return {path: _facts(source, shared, path) for path in paths}


def keep(source: Path, path: str, digest: str, files: Path) -> bool:
    """Copy a file or directory of the source to files/, unless it is there.

    Returns whether the copy that was there had been changed by hand; it is replaced.
    """
    target, real = files / digest, Path(os.path.realpath(source / path))
    name = _name(path)
    has_copy = (target / name).exists()
    if has_copy and digest_of(target / name, name) == digest:
        return False
    files.mkdir(mode=0o700, exist_ok=True)
    temporary, old = files / f".{digest}.new", files / f".{digest}.old"
    clear(temporary)
    temporary.mkdir()
    if real.is_dir():
        skipped = _without_git(real) if _is_root(source, real) else None
        shutil.copytree(
            *(real, temporary / name), symlinks=True, ignore=skipped, copy_function=_copy
        )
    else:
        _copy(real, temporary / name)
    abort.in_background(os.sync)
    if target.exists():
        clear(old)
        target.rename(old)
    temporary.rename(target)
    sync_directory(files)
    clear(old)
    return has_copy


def _copy(real: str | Path, copy: str | Path) -> None:
    with Path(real).open("rb") as source, Path(copy).open("xb") as file:
        file.writelines(pieces(source))
    shutil.copystat(real, copy)


def _name(path: str) -> str:
    """In files/; the source itself has no name of its own."""
    return "source" if path == "." else Path(path).name


def _without_git(root: Path) -> Callable[[str, list[str]], set[str]]:
    return lambda directory, _: {GIT} if Path(directory) == root else set()


def _is_root(source: Path, real: Path) -> bool:
    return Path(os.path.realpath(source)) == real


def _facts(source: Path, shared: Path, path: str) -> PathFacts:
    real = Path(os.path.realpath(source / path))
    if not real.is_relative_to(os.path.realpath(source)):
        return PathFacts(leads_out=True)
    kind, is_root = _kind(real), _is_root(source, real)
    has_content = kind in (FILE, DIRECTORY)
    return PathFacts(
        kind,
        _kind(shared / path),
        digest_of(real, _name(path), is_root=is_root) if has_content else "",
        examples(source / path) if kind == ABSENT else (),
    )


def _kind(path: Path) -> str:
    try:
        state = path.stat()
    except OSError:
        return ABSENT
    if not stat.S_ISDIR(state.st_mode):
        return FILE
    return DIRECTORY if has_content(path) else EMPTY


def examples(path: Path) -> tuple[str, ...]:
    """Files beside a missing one that show what it should contain."""
    names = (path.with_name(f"{path.name}{suffix}") for suffix in EXAMPLE_SUFFIXES)
    return tuple(name.name for name in names if name.is_file())


def digest_of(path: Path, name: str, *, is_root: bool = False) -> str:
    """A hash of names, modes and content, without times and owners. A file may be large.

    + name: its own; that of a link to it is another
    """
    whole = hashlib.sha256(name.encode(errors="surrogateescape"))
    for part in _parts(path, "", skip=(GIT,) if is_root else ()):
        whole.update(part)
    return whole.hexdigest()[:DIGITS]


def _parts(path: Path, name: str, skip: tuple[str, ...] = ()) -> Iterator[bytes]:
    abort.look()
    state = path.lstat()
    said = f"{name} {stat.S_IFMT(state.st_mode):o} {stat.S_IMODE(state.st_mode):o}"
    yield hashlib.sha256(said.encode(errors="surrogateescape")).digest()
    if stat.S_ISDIR(state.st_mode):
        for entry in sorted(path.iterdir()):
            if entry.name not in skip:
                yield from _parts(entry, f"{name}/{entry.name}", skip)
    elif stat.S_ISLNK(state.st_mode):
        yield hashlib.sha256(os.fsencode(path.readlink())).digest()
    elif stat.S_ISREG(state.st_mode):
        content = hashlib.sha256()
        with path.open("rb") as file:
            for piece in pieces(file):
                content.update(piece)
        yield content.digest()
