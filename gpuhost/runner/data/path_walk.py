"""Walks to a directory of an app, one component at a time: its containers can write there too.

A link created by a container could lead root anywhere, so it is refused: in every directory that
is declared, or that a kept release of any app mounts, and in what is below. A link where only root
can write is followed: `shared/models` on another disk. What it leads to may not be reserved.
"""

from __future__ import annotations

import errno
import os
import stat
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from gpuhost.runner.contract import APPS, RESERVED, AppPaths, why_reserved
from gpuhost.runner.data.container_mounts import Mounts, of_all_apps, of_volumes
from gpuhost.runner.data.mount_points import mount_points
from gpuhost.runner.lib.directory_handle import MODE, DirectoryHandle
from gpuhost.runner.lib.engine_data import engine_data
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.state.releases import deletion_advice

# As the kernel.
MOST_LINKS = 40
FIX = "name a directory of the app alone, such as /srv/NAME, or a path relative to shared/"

Identity = tuple[int, int]


@dataclass
class Walk:
    """Looks up the components of a path, each in the directory that was opened before.

    + declared: directories of the app
    + is_declared: links may not lead to what is reserved
    + trusts_users: links where users of the host, but no containers can write are followed
    """

    app: AppPaths
    declared: frozenset[Path] = frozenset()
    make: bool = False
    mode: int = MODE
    is_declared: bool = False
    trusts_users: bool = False

    def open_parent(self, path: Path) -> tuple[DirectoryHandle, str]:
        """The last directory before a name, and the name; "" for shared/ or / itself."""
        # Links above shared/ are made by a person.
        tops = (self.app.shared, self.app.home, Path("/"))
        base = next(top for top in tops if path.is_relative_to(top))
        names = list(path.relative_to(base).parts)
        if self.make:
            base.mkdir(parents=True, exist_ok=True)
        handle, links = DirectoryHandle.open(base), 0
        try:
            is_open = self.is_of_containers(handle.path)
            while names:
                name = names.pop(0)
                target = self._target(handle, name, is_open)
                if target is not None:
                    links += 1
                    if links > MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                    handle, is_open = self._replace(handle, DirectoryHandle.open(Path("/"))), False
                    names = [*target.parts[1:], *names]
                    found = Path("/", *names)
                    if self.is_declared:
                        self.refuse_reserved(found, f"{path}: a link to {found} is not followed")
                elif not names:
                    return handle, name
                else:
                    handle = self._replace(handle, self.enter(handle, name))
                is_open = is_open or self._is_written(handle)
            return handle, ""
        except BaseException:
            handle.close()
            raise

    def enter(self, handle: DirectoryHandle, name: str) -> DirectoryHandle:
        return handle.make_or_enter(name, self.mode) if self.make else handle.enter(name)

    def is_of_containers(self, path: Path) -> bool:
        """Whether containers can write there. + path: a real one"""
        return any(_identity(one) in self._written for one in (path, *path.parents))

    def _is_written(self, handle: DirectoryHandle) -> bool:
        return _identity_of(handle.state()) in self._written

    def refuse_reserved(self, path: Path, what: str) -> None:
        shared = self.app.shared
        reasons = [
            why_reserved(str(path), str(one), self._reserved_here)
            for one in (shared, os.path.realpath(shared))
        ]
        if all(reasons):
            raise Failure(f"{what}: {reasons[0]}", fix=FIX)

    @cached_property
    def _reserved_here(self) -> tuple[str, ...]:
        """Where this host has gpuhost and the engine."""
        homes = (os.path.realpath(APPS), os.path.realpath(self.app.home))
        return (*homes, str(self._engine), *_real_paths(frozenset(RESERVED)))

    @cached_property
    def _engine(self) -> Path:
        return engine_data()

    @cached_property
    def mounts(self) -> Mounts:
        return of_all_apps(self.app.home.parent)

    @cached_property
    def written(self) -> frozenset[Path]:
        """Directories in which containers can write."""
        return frozenset((*self.declared, *self.mounts.paths, *of_volumes(self._engine)))

    @cached_property
    def _written(self) -> frozenset[Identity]:
        """Of the outermost: one in another may be a link of a container, to any directory.

        And of what is mounted in them: a person may have given it another path too.
        """
        outermost = [path for path in self.written if not self.written & set(path.parents)]
        real = {Path(real) for path in outermost if (real := _real(path))}
        return frozenset(filter(None, map(_identity, (*outermost, *mount_points(real)))))

    @staticmethod
    def _replace(handle: DirectoryHandle, by: DirectoryHandle) -> DirectoryHandle:
        handle.close()
        return by

    def _target(self, handle: DirectoryHandle, name: str, is_open: bool) -> Path | None:
        """What a link leads to; None: it is no link."""
        state = handle.look(name)
        if state is None or not stat.S_ISLNK(state.st_mode):
            return None
        if is_open or not (self.trusts_users or _only_root_writes(handle.state())):
            who = "the app can" if is_open else "other users than root can"
            raise _link_failure(handle.path / name, who, self.mounts)
        # Real, but for its own components, which are looked up in turn.
        return Path(os.path.normpath(handle.path / handle.link_target(name)))


def _real(path: Path) -> str:
    try:
        return os.path.realpath(path)
    except (OSError, ValueError):
        return ""


def _identity(path: Path) -> Identity | None:
    try:
        return _identity_of(path.stat())
    except (OSError, ValueError):
        # Without such a directory, or with a NUL in its name, nothing can be mounted.
        return None


def _identity_of(state: os.stat_result) -> Identity:
    return state.st_dev, state.st_ino


def _only_root_writes(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


@lru_cache(maxsize=1)
def _real_paths(directories: frozenset[str]) -> tuple[str, ...]:
    """Of those that are links: /var/lib/docker on another disk."""
    real = {directory: os.path.realpath(directory) for directory in directories}
    return tuple(sorted(path for directory, path in real.items() if path not in directories))


def _link_failure(path: Path, who: str, mounts: Mounts) -> Failure:
    fix = "replace the link by the directory, or declare its real path in the app file"
    if mounts.unread:
        home, step = next(iter(mounts.unread.items()))
        step = step or deletion_advice(AppPaths(home.parent.parent), home)
        fix += f"; what the containers of {home} mount cannot be read: {step}"
    return Failure(
        f"{path} is a link in a directory that {who} write to: not followed",
        fix=fix,
    )
