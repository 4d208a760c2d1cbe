"""Opens directories of an app safely, one component at a time: its containers can write there too.

A link created by a container could lead root anywhere, so it is refused: in every directory that
is declared, or that a kept release of any app mounts, and in what is below. A link where only root
can write is followed: `shared/models` on another disk. What it leads to may not be reserved.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from functools import cached_property, lru_cache
from pathlib import Path

from gpuhost.runner.contract import APPS, AppPaths, why_reserved
from gpuhost.runner.docker.resolved_model import written_by_containers
from gpuhost.runner.lib.directory_handle import MODE, DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_json
from gpuhost.runner.state.release import Release

# As the kernel.
MOST_LINKS = 40
ENGINE = Path("/etc/docker/daemon.json")
FIX = "name a directory of the app alone, such as /srv/NAME, or a path relative to shared/"

Identity = tuple[int, int]


def locate(release: Release, path: str) -> Path:
    """The absolute path of a path in the app file, which may be relative to shared/."""
    return Path(os.path.normpath(release.app.shared / path))


def require_allowed(release: Release, path: str) -> None:
    """Raises Failure if a declared path is not one that an app may name."""
    shared = release.app.shared
    if not path.startswith("/") and not locate(release, path).is_relative_to(shared):
        raise Failure(f"{path!r} leads out of shared/", fix=FIX)
    _walk_of(release).refuse_reserved(locate(release, path), repr(path))


@contextmanager
def open_directory(release: Release, path: str, *, make: bool = False) -> Iterator[DirectoryHandle]:
    """A declared directory, or one in it, which stays the same if a component is renamed.

    + make: create missing directories

    Raises Failure, or OSError: FileNotFoundError, NotADirectoryError.
    """
    require_allowed(release, path)
    with _open(_walk_of(release, make=make, is_declared=True), locate(release, path)) as handle:
        yield handle


@contextmanager
def open_parent(release: Release, path: str) -> Iterator[tuple[DirectoryHandle, str]]:
    """The directory of a declared file or directory, which need not exist, and its name there.

    Raises Failure or OSError.
    """
    require_allowed(release, path)
    location = locate(release, path)
    if location == release.app.shared:
        raise Failure(f"{path} is shared/ itself", fix="declare the files and directories in it")
    handle, name = _walk_of(release, is_declared=True).open_parent(location)
    with handle:
        yield handle, name


@contextmanager
def open_recorded(
    app: AppPaths, path: Path, *, make: bool = False, mode: int = MODE
) -> Iterator[DirectoryHandle]:
    """Like `open_directory`, for an absolute path that gpuhost itself has chosen or stored.

    + mode: of the directories that are created
    """
    with _open(_Walk(app, make=make, mode=mode), path) as handle:
        yield handle


def resolve(release: Release, path: str) -> Path:
    """The real path of a declared file or directory; it need not exist, but its parent must.

    Raises Failure or OSError.
    """
    with open_parent(release, path) as (handle, name):
        return handle.path / name


def is_of_containers(app: AppPaths, handle: DirectoryHandle) -> bool:
    """Whether containers can write in this directory."""
    walk, path = _Walk(app), handle.path
    return any(walk.is_of_containers(_identity(one)) for one in (path, *path.parents))


def require_no_way_out(release: Release, path: Path, what: str) -> None:
    """Raises Failure if a link that a container can have made leads a mount out of the app's data.

    The engine follows links: with one to / the container would get the whole host.

    + path: that is mounted, absolute; what: for the message
    """
    walk = _walk_of(release, trusts_users=True)
    try:
        handle, _ = walk.open_parent(path)
    except OSError:
        return  # the engine creates it, or refuses it
    except Failure as failure:
        real = Path(os.path.realpath(path))
        # Each of these is checked too, if it is mounted.
        tops = (release.app.shared, *(top for top in walk.written if top in path.parents))
        if any(real.is_relative_to(top.resolve()) for top in tops):
            return
        raise Failure(f"{what}: {failure.said}", fix=failure.fix) from None
    handle.close()


def _walk_of(release: Release, **more: bool) -> _Walk:
    declared = (locate(release, directory.path) for directory in release.plan.directories)
    return _Walk(release.app, frozenset(declared), **more)


@contextmanager
def _open(walk: _Walk, path: Path) -> Iterator[DirectoryHandle]:
    handle, name = walk.open_parent(path)
    with handle:
        if not name:
            yield handle
            return
        with walk.enter(handle, name) as entered:
            yield entered


@dataclass
class _Walk:
    """+ declared: directories of the app
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
            is_open = self.is_of_containers(_identity_of(handle.state()))
            while names:
                name = names.pop(0)
                target = self._target(handle, name, is_open)
                if target is not None:
                    links += 1
                    if links > MOST_LINKS:
                        raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), str(path))
                    handle.close()
                    handle, is_open = DirectoryHandle.open(Path("/")), False
                    names = [*target.parts[1:], *names]
                    found = Path("/", *names)
                    if self.is_declared:
                        self.refuse_reserved(found, f"{path}: a link to {found} is not followed")
                elif not names:
                    return handle, name
                else:
                    inner = self.enter(handle, name)
                    handle.close()
                    handle = inner
                is_open = is_open or self.is_of_containers(_identity_of(handle.state()))
            return handle, ""
        except BaseException:
            handle.close()
            raise

    def enter(self, handle: DirectoryHandle, name: str) -> DirectoryHandle:
        return handle.make_or_enter(name, self.mode) if self.make else handle.enter(name)

    def is_of_containers(self, identity: Identity | None) -> bool:
        return identity in self._written

    def refuse_reserved(self, path: Path, what: str) -> None:
        shared = self.app.shared
        reasons = [
            why_reserved(str(path), str(one), self._reserved_here)
            for one in (shared, shared.resolve())
        ]
        if all(reasons):
            raise Failure(f"{what}: {reasons[0]}", fix=FIX)

    @cached_property
    def _reserved_here(self) -> tuple[str, ...]:
        """Where this host has gpuhost and the engine."""
        root = read_json(ENGINE).get("data-root")
        homes = (str(APPS.resolve()), str(self.app.home.resolve()))
        return (*homes, *((str(Path(root).resolve()),) if isinstance(root, str) and root else ()))

    @cached_property
    def written(self) -> frozenset[Path]:
        """Directories in which containers can write, of all kept releases of all apps."""
        paths = set(self.declared)
        for model in self.app.home.parent.glob("*/releases/*/resolved.json"):
            with suppress(FileNotFoundError):  # removed meanwhile
                paths |= _mounted(model, model.stat().st_mtime_ns)
        return frozenset(paths)

    @cached_property
    def _written(self) -> frozenset[Identity]:
        return frozenset(filter(None, map(_identity, self.written)))

    def _target(self, handle: DirectoryHandle, name: str, is_open: bool) -> Path | None:
        """What a link leads to; None: it is no link."""
        state = handle.look(name)
        if state is None or not stat.S_ISLNK(state.st_mode):
            return None
        if is_open or not (self.trusts_users or _only_root_writes(handle.state())):
            raise _link_failure(handle.path / name)
        # Real, but for its own components, which are looked up in turn.
        return Path(os.path.normpath(handle.path / handle.link_target(name)))


@lru_cache(maxsize=1000)
def _mounted(model: Path, _: int) -> frozenset[Path]:
    """+ _: when the model was written"""
    return frozenset(map(Path, written_by_containers(read_json(model))))


def _identity(path: Path) -> Identity | None:
    try:
        return _identity_of(path.stat())
    except OSError:
        return None


def _identity_of(state: os.stat_result) -> Identity:
    return state.st_dev, state.st_ino


def _only_root_writes(state: os.stat_result) -> bool:
    return state.st_uid == os.geteuid() and not state.st_mode & 0o022


def _link_failure(path: Path) -> Failure:
    return Failure(
        f"{path} is a link in a directory that the app can write to: not followed",
        fix="replace the link by the directory, or declare its real path in the app file",
    )
