"""Paths that an app names, walked one name at a time: its containers can write there too.

A link that a container has put in the way could lead root anywhere. Links that a person has made,
in a directory that only root writes to, are followed: `shared/models` on another disk.
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
# What a directory that is only on the way to another one gets.
MODE = 0o755


def locate(release: Release, path: str) -> Path:
    """Absolute, or relative to shared/, as the app file has it."""
    return Path(os.path.normpath(release.app.shared / path))


@contextmanager
def open_directory(release: Release, path: str, *, make: bool = False) -> Iterator[int]:
    """A handle of a directory, whatever happens to its names meanwhile.

    + make: directories that are missing are made

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    target = locate(release, path)
    shared = release.app.shared
    # Where shared/ itself lies, and where an absolute path begins, is a person's own affair.
    base = shared if target.is_relative_to(shared) else Path("/")
    given_away = [locate(release, one.path) for one in release.plan.directories]
    handle = os.open(base, DIRECTORY)
    here = base
    try:
        for name in target.relative_to(base).parts:
            inner = _enter(handle, here, name, given_away, make=make)
            os.close(handle)
            handle, here = inner, here / name
        yield handle
    finally:
        os.close(handle)


def resolve(release: Release, path: str) -> Path:
    """Where a file or directory really is; it need not be there, but what it lies in has to be.

    Raises Failure, FileNotFoundError or NotADirectoryError.
    """
    location = locate(release, path)
    if location == release.app.shared:
        raise Failure(f"{path}: shared/ itself is meant, name what is in it")
    try:
        with open_directory(release, str(location)) as handle:
            return real(handle)
    except (FileNotFoundError, NotADirectoryError):
        with open_directory(release, str(location.parent)) as handle:
            target = real(handle) / location.name
    if target.is_symlink():
        raise _refused(target)
    return target


def real(handle: int) -> Path:
    """The path of an open directory."""
    return Path(f"/proc/self/fd/{handle}").readlink()


def _enter(handle: int, here: Path, name: str, given_away: Iterable[Path], *, make: bool) -> int:
    try:
        state = os.stat(name, dir_fd=handle, follow_symlinks=False)
    except FileNotFoundError:
        if not make:
            raise
        os.mkdir(name, MODE, dir_fd=handle)
        made = os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
        os.fchmod(made, MODE)  # whatever the umask is
        return made
    if not stat.S_ISLNK(state.st_mode):
        return os.open(name, DIRECTORY | os.O_NOFOLLOW, dir_fd=handle)
    if not _ours(os.fstat(handle)) or any(here.is_relative_to(one) for one in given_away):
        raise _refused(here / name)
    return os.open(name, DIRECTORY, dir_fd=handle)


def _ours(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _refused(path: Path) -> Failure:
    return Failure(
        f"{path} is a link in a directory that the app can write to: not followed",
        fix="put the directory itself there, or name its real place in the app file",
    )
