"""Opens directories of an app safely, one component at a time: its containers can write there too.

A link created by a container could lead root anywhere, so it is refused. A link in a directory that
only root can write to is followed: `shared/models` on another disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release


def locate(release: Release, path: str) -> Path:
    """The absolute path of a path in the app file, which may be relative to shared/."""
    return Path(os.path.normpath(release.app.shared / path))


@contextmanager
def open_directory(release: Release, path: str, *, make: bool = False) -> Iterator[DirectoryHandle]:
    """A directory, which stays the same if a component is renamed.

    + make: create missing directories

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    target = locate(release, path)
    shared = release.app.shared
    # Links above shared/, or above an absolute path, are made by a person.
    base = shared if target.is_relative_to(shared) else Path("/")
    app_directories = [locate(release, directory.path) for directory in release.plan.directories]
    handle = DirectoryHandle.open(base)
    here = base
    try:
        for name in target.relative_to(base).parts:
            inner = _enter(handle, here, name, app_directories, make=make)
            handle.close()
            handle, here = inner, here / name
        yield handle
    finally:
        handle.close()


def resolve(release: Release, path: str) -> Path:
    """The real path of a file or directory; it need not exist, but its parent must.

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    location = locate(release, path)
    if location == release.app.shared:
        raise Failure(f"{path} is shared/ itself", fix="declare the files and directories in it")
    try:
        with open_directory(release, str(location)) as handle:
            return handle.path
    except (FileNotFoundError, NotADirectoryError):
        with open_directory(release, str(location.parent)) as handle:
            target = handle.path / location.name
    if target.is_symlink():
        raise _link_failure(target)
    return target


def _enter(
    handle: DirectoryHandle, here: Path, name: str, app_directories: Iterable[Path], *, make: bool
) -> DirectoryHandle:
    state = handle.look(name)
    if state is None and make:
        return handle.make(name)
    if state is None or not stat.S_ISLNK(state.st_mode):
        return handle.enter(name)
    if not _only_root_writes(handle.state()) or any(
        here.is_relative_to(d) for d in app_directories
    ):
        raise _link_failure(here / name)
    return handle.follow(name)


def _only_root_writes(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _link_failure(path: Path) -> Failure:
    return Failure(
        f"{path} is a link in a directory that the app can write to: not followed",
        fix="replace the link by the directory, or declare its real path in the app file",
    )
