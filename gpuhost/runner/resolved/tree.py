"""Reads what a release's source and shared/ have at a path, and keeps files that are mounted.

files/DIGEST/NAME is a copy by content: a changed file has another path, so that its container is
replaced; an unchanged one has the same in every release.
"""

from __future__ import annotations

import hashlib
import os
import shutil
import stat
from collections.abc import Iterable, Iterator
from pathlib import Path

from gpuhost.runner.contract import EXAMPLE_SUFFIXES, PLACEHOLDERS
from gpuhost.runner.lib.files import sync_directory
from gpuhost.runner.resolved.places import ABSENT, DIRECTORY, EMPTY, FILE, Place

DIGITS = 16
# Not the project's content, and different in each checkout.
GIT = ".git"


def read(source: Path, shared: Path, paths: Iterable[str]) -> dict[str, Place]:
    """+ paths: relative to both"""
    return {path: _place(source, shared, path) for path in paths}


def keep(source: Path, path: str, digest: str, files: Path) -> None:
    """Copy a file or directory of the source to files/, unless it is there."""
    target = files / digest
    if target.exists():
        return
    files.mkdir(mode=0o700, exist_ok=True)
    temporary = files / f".{digest}.new"
    shutil.rmtree(temporary, ignore_errors=True)
    temporary.mkdir()
    real = Path(os.path.realpath(source / path))
    name = "source" if path == "." else Path(path).name
    if real.is_dir():
        skipped = shutil.ignore_patterns(GIT) if _is_root(source, real) else None
        shutil.copytree(real, temporary / name, symlinks=True, ignore=skipped)
    else:
        shutil.copy2(real, temporary / name)
    os.sync()
    temporary.rename(target)
    sync_directory(files)


def _is_root(source: Path, real: Path) -> bool:
    return Path(os.path.realpath(source)) == real


def _place(source: Path, shared: Path, path: str) -> Place:
    real = Path(os.path.realpath(source / path))
    if not real.is_relative_to(os.path.realpath(source)):
        return Place(leads_out=True)
    kind = _kind(real)
    return Place(
        kind,
        _kind(shared / path),
        digest(real, is_root=_is_root(source, real)) if kind in (FILE, DIRECTORY) else "",
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
    return any(
        entry.name not in PLACEHOLDERS if not entry.is_dir(follow_symlinks=False)
        else _has_content(Path(entry.path))
        for entry in os.scandir(directory)
    )  # fmt: skip


def examples(path: Path) -> tuple[str, ...]:
    """Files beside a missing one that show what it should contain."""
    names = (path.with_name(f"{path.name}{suffix}") for suffix in EXAMPLE_SUFFIXES)
    return tuple(name.name for name in names if name.is_file())


def digest(path: Path, *, is_root: bool = False) -> str:
    """A hash of names, modes and content, without times and owners."""
    whole = hashlib.sha256(path.name.encode(errors="surrogateescape"))
    for part in _parts(path, "", skip=(GIT,) if is_root else ()):
        whole.update(hashlib.sha256(part).digest())
    return whole.hexdigest()[:DIGITS]


def _parts(path: Path, name: str, skip: tuple[str, ...] = ()) -> Iterator[bytes]:
    state = path.lstat()
    yield f"{name} {stat.S_IFMT(state.st_mode):o} {stat.S_IMODE(state.st_mode):o}".encode(
        errors="surrogateescape"
    )
    if stat.S_ISDIR(state.st_mode):
        for entry in sorted(path.iterdir()):
            if entry.name not in skip:
                yield from _parts(entry, f"{name}/{entry.name}", skip)
    elif stat.S_ISLNK(state.st_mode):
        yield os.fsencode(path.readlink())
    elif stat.S_ISREG(state.st_mode):
        yield path.read_bytes()
