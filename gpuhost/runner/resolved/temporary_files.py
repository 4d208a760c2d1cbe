"""Files that Compose reads in the project's directory, placed there while it is asked.

Secrets and data are not part of the source, and must not get into an image that is built from it:
they are removed afterwards, also after an interruption.
"""

from __future__ import annotations

import os
import posixpath
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, suppress
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract import NOT_THERE, from_json
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import load_json, write_json
from gpuhost.runner.lib.log import Log
from gpuhost.runner.lib.source_paths import LARGEST, open_parent, read_bytes, read_whole, resolved
from gpuhost.runner.resolved.path_facts import is_beneath
from gpuhost.runner.state.release import Release

# The beginning of names of the source's own files that are set aside.
ASIDE = ".placed-"


@dataclass(frozen=True)
class _Placed:
    """Relative to the source. + moved: files of the source that are set aside, by number"""

    files: tuple[str, ...] = ()
    directories: tuple[str, ...] = ()
    moved: tuple[str, ...] = ()


@contextmanager
def temporary_files(
    release: Release, secrets: Mapping[str, str], data: tuple[str, ...]
) -> Iterator[None]:
    """+ secrets: path in the source -> content
    + data: paths that are placed if shared/ has them and the source lacks them, or if a directory
      of data has them

    Raises Failure.
    """
    source = release.source
    remove_placed(source)
    files = {_normal(path): text.encode() for path, text in secrets.items()}
    for path in data:
        content = None if path in files else _read(release, path)
        if content is not None and _is_of_host(release, path, content):
            files[path] = content
    try:
        _put(source, files)
        yield
    finally:
        remove_placed(source)


def remove_placed(source: Path) -> None:
    """Remove what was placed, and restore the files that were there. Raises Failure."""
    record = _record(source)
    present = _placed(record)
    if present is None:
        return
    asides = {path: _aside(number) for number, path in enumerate(present.moved)}
    with DirectoryHandle.open(source.parent) as home:
        for path in present.files:
            aside = asides.get(path)
            if aside and home.look(aside) is None:
                continue  # not moved yet, or already restored: it is the source's
            with _suppress_missing(), open_parent(source, path) as (directory, name):
                directory.unlink(name)
            if aside:
                with open_parent(source, path) as (directory, name):
                    home.rename(aside, directory, name)
    for path in present.directories:
        with suppress(Failure, OSError), open_parent(source, path) as (directory, name):
            directory.rmdir(name)
    record.unlink()


def discard_if_unknown(source: Path, log: Log) -> None:
    """Delete a source with the record, if that is damaged: nobody knows where secrets are in it."""
    record = _record(source)
    try:
        _placed(record)
    except Failure as failure:
        log.write(f"warning: {failure.said}; the source is made again")
        with DirectoryHandle.open(source.parent) as home:
            home.remove(source.name)
            for name in home.names():
                if name.startswith(ASIDE):
                    home.remove(name)
            # Last: after an interruption it is damaged still.
            home.remove(record.name)


def _placed(record: Path) -> _Placed | None:
    """None: nothing is placed. Raises Failure."""
    try:
        return from_json(_Placed, load_json(record))
    except FileNotFoundError:
        return None
    except (OSError, ValueError, TypeError, AttributeError):
        raise Failure(
            f"{record} is damaged: secrets may be in the source",
            fix="release again: this makes the source again",
        ) from None


def _put(source: Path, files: Mapping[str, bytes]) -> None:
    for path in files:
        _require_inside(source, path)
    moved = tuple(path for path in files if os.path.lexists(source / path))
    write_json(_record(source), asdict(_Placed(tuple(files), _missing(source, files), moved)))
    with DirectoryHandle.open(source.parent) as home:
        for number, path in enumerate(moved):
            with open_parent(source, path) as (directory, name):
                directory.rename(name, home, _aside(number))
    for path, content in files.items():
        with (
            open_parent(source, path, make=True) as (directory, name),
            directory.create(name) as file,
        ):
            file.write(content)


def _suppress_missing() -> suppress:
    return suppress(*NOT_THERE)


def _missing(source: Path, files: Mapping[str, bytes]) -> tuple[str, ...]:
    """Directories that will be made, the deepest first."""
    parents = {str(parent) for path in files for parent in Path(path).parents}
    missing = [parent for parent in parents if not (source / parent).exists()]
    return tuple(sorted(missing, key=len, reverse=True))


def _require_inside(source: Path, path: str) -> None:
    if not resolved((source / path).parent).is_relative_to(resolved(source)):
        raise Failure(
            f"{path}: a directory of it is a link that leads out of the source",
            fix="replace the link in the source, or declare another path",
        )
    for above in Path(path).parents:
        if os.path.lexists(source / above) and not (source / above).is_dir():
            raise Failure(
                f"{path}: {above} is a file of the source, not a directory",
                fix="declare another path, or move the file in the source",
            )


def _is_of_host(release: Release, path: str, content: bytes) -> bool:
    """Whether the file of shared/ counts. Raises Failure if that and the source's could be meant.

    + content: of the file in shared/
    """
    if not os.path.lexists(release.source / path):
        return True
    directories = (_normal(directory.path) for directory in release.plan.directories)
    if any(is_beneath(path, directory) for directory in directories):
        return True
    own = read_bytes(release.source, release.source / path, LARGEST)
    if own is not None and own != content:
        raise Failure(
            f"{path} is a file of the source, and shared/{path} on the host differs from it",
            fix=f"move shared/{path} away if the source's is right; else remove {path} from the "
            "source, or send the right one as a secret (x-gpuhost.secrets, path)",
        )
    return False


def _read(release: Release, path: str) -> bytes | None:
    """A file of shared/; None if there is none. A container may have put a link or a pipe there."""
    parent, name = posixpath.split(path)
    try:
        with open_directory(release, parent or ".") as directory, directory.read(name) as file:
            return read_whole(file, LARGEST, f"shared/{path}")
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


def _aside(number: int) -> str:
    """Beside the source."""
    return f"{ASIDE}{number}"
