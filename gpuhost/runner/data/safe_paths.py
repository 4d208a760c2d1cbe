"""Opens directories of an app safely: its containers can write there too, at any moment."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import contextmanager, suppress
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.path_walk import FIX, Walk
from gpuhost.runner.lib.directory_handle import MODE, DirectoryHandle
from gpuhost.runner.lib.failure import Failure, failure_of
from gpuhost.runner.state.release import Release


def locate(release: Release, path: str) -> Path:
    """The absolute path of a path in the app file, which may be relative to shared/."""
    return Path(os.path.normpath(release.app.shared / path))


def require_allowed(release: Release, *paths: str) -> None:
    """Raises Failure if a declared path is not one that an app may name."""
    walk = _walk_of(release)
    for path in paths:
        _located(walk, release, path)


def _located(walk: Walk, release: Release, path: str) -> Path:
    """As `locate`. Raises Failure as `require_allowed`."""
    location = locate(release, path)
    if not path.startswith("/") and not location.is_relative_to(release.app.shared):
        raise Failure(f"{path!r} leads out of shared/", fix=FIX)
    walk.refuse_reserved(location, repr(path))
    return location


@contextmanager
def open_directory(release: Release, path: str, *, make: bool = False) -> Iterator[DirectoryHandle]:
    """A declared directory, or one in it, which stays the same if a component is renamed.

    + make: create missing directories

    Raises Failure, or OSError: FileNotFoundError, NotADirectoryError.
    """
    walk = _walk_of(release, make=make, is_declared=True)
    with _open(walk, _located(walk, release, path)) as handle:
        yield handle


@contextmanager
def open_parent(release: Release, path: str) -> Iterator[tuple[DirectoryHandle, str]]:
    """The directory of a declared file or directory, which need not exist, and its name there.

    Raises Failure or OSError.
    """
    walk = _walk_of(release, is_declared=True)
    location = _located(walk, release, path)
    if location == release.app.shared:
        raise Failure(f"{path} is shared/ itself", fix="declare the files and directories in it")
    handle, name = walk.open_parent(location)
    with handle:
        yield handle, name


@contextmanager
def open_recorded(
    app: AppPaths, path: Path, *, make: bool = False, mode: int = MODE
) -> Iterator[DirectoryHandle]:
    """Like `open_directory`, for an absolute path that gpuhost itself has chosen or stored.

    + mode: of the directories that are created
    """
    with _open(Walk(app, make=make, mode=mode), path) as handle:
        yield handle


def private_above(app: AppPaths, directory: DirectoryHandle) -> Path:
    """The nearest directory above, on the same disk, in which containers cannot write.

    If there is none, the directory itself. Raises Failure or OSError.
    """
    walk, own = Walk(app), directory.path
    for path in (own, *own.parents):
        with _open(walk, path) as handle:
            if handle.disk != directory.disk:
                break
            if not walk.is_of_containers(handle.path):
                return path
    return own


def require_no_way_out(release: Release, mounts: Iterable[tuple[Path, str]]) -> None:
    """Raises Failure if a link that a container can have made leads a mount out of the app's data.

    The engine follows links: with one to / the container would get the whole host.

    + mounts: absolute paths that are mounted, and where, for the message
    """
    walk = _walk_of(release, trusts_users=True)
    for path, where in mounts:
        _require_no_way_out(walk, path, where)


def _require_no_way_out(walk: Walk, path: Path, what: str) -> None:
    try:
        handle, _ = walk.open_parent(path)
    except FileNotFoundError:
        return  # the engine creates it
    except OSError as error:
        # Not a directory any more, for example: a link since it was looked at.
        fix = "make it a directory, or mount another path"
        raise failure_of(error, f"{what}: {path}", fix) from error
    except Failure as failure:
        top = _written_around(walk, path)
        if top is None or not Path(os.path.realpath(path)).is_relative_to(top):
            raise Failure(f"{what}: {failure.said}", fix=failure.fix) from None
        return
    handle.close()


def _written_around(walk: Walk, path: Path) -> Path | None:
    """The innermost directory around a path in which its containers can write, without links."""
    tops = (top for top in path.parents if top in walk.written)
    for top in tops:
        with suppress(Failure, OSError):
            handle, name = walk.open_parent(top)
            with handle:
                return handle.path / name
    return None


def _walk_of(release: Release, **more: bool) -> Walk:
    declared = (locate(release, directory.path) for directory in release.plan.directories)
    return Walk(release.app, frozenset(declared), **more)


@contextmanager
def _open(walk: Walk, path: Path) -> Iterator[DirectoryHandle]:
    handle, name = walk.open_parent(path)
    with handle:
        if not name:
            yield handle
            return
        with walk.enter(handle, name) as entered:
            yield entered
