"""Opens paths of an app safely, one component at a time: its containers can write there too.

A link created by a container could lead root anywhere, so it is refused. A link in a directory that
only root can write to is followed: `shared/models` on another disk.
"""

from __future__ import annotations

import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from pathlib import Path

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.release import Release

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# The mode of a new parent directory.
MODE = 0o755


def locate(release: Release, path: str) -> Path:
    """The absolute path of a path in the app file, which may be relative to shared/."""
    return Path(os.path.normpath(release.app.shared / path))


@contextmanager
def open_directory(release: Release, path: str, *, make: bool = False) -> Iterator[int]:
    """A handle of a directory, which stays valid if a component is renamed.

    + make: create missing directories

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    target = locate(release, path)
    shared = release.app.shared
    # Links above shared/, or above an absolute path, are made by a person.
    base = shared if target.is_relative_to(shared) else Path("/")
    app_directories = [locate(release, directory.path) for directory in release.plan.directories]
    handle = os.open(base, DIRECTORY)
    here = base
    try:
        for name in target.relative_to(base).parts:
            inner = _enter(handle, here, name, app_directories, make=make)
            os.close(handle)
            handle, here = inner, here / name
        yield handle
    finally:
        os.close(handle)


def resolve(release: Release, path: str) -> Path:
    """The real path of a file or directory; it need not exist, but its parent must.

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    location = locate(release, path)
    if location == release.app.shared:
        raise Failure(f"{path} is shared/ itself", fix="declare the files and directories in it")
    try:
        with open_directory(release, str(location)) as handle:
            return real(handle)
    except (FileNotFoundError, NotADirectoryError):
        with open_directory(release, str(location.parent)) as handle:
            target = real(handle) / location.name
    if target.is_symlink():
        raise _link_failure(target)
    return target


def real(handle: int) -> Path:
    """The path of an open directory."""
    return Path(f"/proc/self/fd/{handle}").readlink()


def _enter(
    handle: int, here: Path, name: str, app_directories: Iterable[Path], *, make: bool
) -> int:
    try:
        state = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, MODE, dir_fd=handle)
        handle = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        os.fchmod(handle, MODE)  # whatever the umask is
        return handle
    if not stat.S_ISLNK(state.st_mode):
        return os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
    if not _only_root_writes(os.fstat(handle)) or any(
        here.is_relative_to(d) for d in app_directories
    ):
        raise _link_failure(here / name)
    return os.open(name, DIRECTORY, dir_fd=handle)


def _only_root_writes(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _link_failure(path: Path) -> Failure:
    return Failure(
        f"{path} is a link in a directory that the app can write to",
        fix="replace the link by the directory, or declare its real path in the app file",
    )
