"""Files that Compose reads in the project's directory, placed there while it is asked.

Secrets and data are not part of the source, and must not get into an image that is built from it:
they are removed afterwards, also after an interruption.
"""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract import from_json
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_json, write_json
from gpuhost.runner.state.release import Release

MAX_BYTES = 1 << 20


@dataclass(frozen=True)
class _Placed:
    """Relative to the source. + moved: files of the source that are set aside, by number"""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


@contextmanager
def placed(release: Release, secrets: Mapping[str, str], data: tuple[str, ...]) -> Iterator[None]:
    """+ secrets: path in the source -> content
    + data: paths that are placed if shared/ has them and the source lacks them

    Raises Failure.
    """
    source = release.source
    remove_placed(source)
    files = {_normal(path): text.encode() for path, text in secrets.items()}
    for path in data:
        if path not in files and not os.path.lexists(source / path):
            content = _read(release, path)
            if content is not None:
                files[path] = content
    try:
        _place(source, files)
        yield
    finally:
        remove_placed(source)


def remove_placed(source: Path) -> None:
    """Remove what is placed, and put back what was there."""
    record = _record(source)
    if not record.exists():
        return
    present = from_json(_Placed, read_json(record))
    for path in present.files:
        with suppress(FileNotFoundError, NotADirectoryError):
            (source / path).unlink()
    for number, path in enumerate(present.moved):
        aside = _aside(source, number)
        if os.path.lexists(aside):
            aside.rename(source / path)
    for path in present.directories:
        with suppress(OSError):
            (source / path).rmdir()
    record.unlink()


def _place(source: Path, files: Mapping[str, bytes]) -> None:
    for path in files:
        _require_inside(source, path)
    moved = tuple(path for path in files if os.path.lexists(source / path))
    write_json(_record(source), asdict(_Placed(tuple(files), _missing(source, files), moved)))
    for number, path in enumerate(moved):
        (source / path).rename(_aside(source, number))
    for path, content in files.items():
        (source / path).parent.mkdir(parents=True, exist_ok=True)
        handle = os.open(source / path, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
        with os.fdopen(handle, "wb") as file:
            file.write(content)


def _missing(source: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Directories that will be made, the deepest first."""
    parents = {str(parent) for path in files for parent in Path(path).parents}
    missing = [parent for parent in parents if not (source / parent).exists()]
    return tuple(sorted(missing, key=len, reverse=True))


def _require_inside(source: Path, path: str) -> None:
    root = os.path.realpath(source)
    parent = os.path.realpath((source / path).parent)
    if parent != root and not parent.startswith(f"{root}/"):
        raise Failure(
            f"{path}: a directory of it is a link that leads out of the source",
            fix="replace the link in the source, or declare another path",
        )


def _read(release: Release, path: str) -> bytes | None:
    """A file of shared/; None if there is none. A container may have put a link or a pipe there."""
    parent, name = posixpath.split(path)
    try:
        with open_directory(release, parent or ".") as directory:
            flags = os.O_RDONLY | os.O_NOFOLLOW | os.O_NONBLOCK
            with os.fdopen(os.open(name, flags, dir_fd=directory), "rb") as file:
                if not stat.S_ISREG(os.fstat(file.fileno()).st_mode):
                    raise OSError(errno.EINVAL, "not a regular file")
                return file.read(MAX_BYTES)
    except FileNotFoundError:
        return None
    except OSError as error:
        raise Failure(
            f"shared/{path}: {error.strerror}",
            fix="Compose reads this file: make it a regular file",
        ) from None


def _normal(path: str) -> str:
    return posixpath.normpath(path)


def _record(source: Path) -> Path:
    return source.with_name("placed.json")


def _aside(source: Path, number: int) -> Path:
    return source.with_name(f".placed-{number}")
