"""Exchanges present files for restored ones by renaming, and back.

Each step can be repeated after an interruption: a file that is still staged is not in place yet.
All renames are by handle: the directories are opened after the app was stopped, and a link that it
has put in their paths meanwhile is refused. Nothing that was set aside is overwritten.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.data.safe_paths import is_of_containers, open_recorded
from gpuhost.runner.data.sqlite_copy import files_of
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear as clear
from gpuhost.runner.state.release import Release

PRIVATE = 0o700


@dataclass(frozen=True)
class _Opened:
    """+ staging: of the restored one; + aside: for the previous one"""

    parent: DirectoryHandle
    staging: DirectoryHandle
    aside: DirectoryHandle


@dataclass(frozen=True)
class Exchange:
    """A file or directory. Paths are text because this is stored as JSON."""

    target: str
    staged: str  # the restored one
    aside: str  # a directory for the previous one
    is_database: bool = False  # also exchange the files that SQLite keeps beside it

    def put_in_place(self, release: Release) -> None:
        """Move the previous one aside and the restored one in place. Raises Failure or OSError."""
        with self._opened(release) as at:
            if at.staging.look(self._staged_name) is None:
                return
            for name in self._names:
                _set_aside(at.parent, name, at.aside)
            at.staging.rename(self._staged_name, at.parent, self._names[0])

    def undo(self, release: Release) -> None:
        """Move the previous one back. Raises Failure or OSError."""
        target, *beside = self._names
        with self._opened(release) as at:
            if at.staging.look(self._staged_name) is None:
                # What the app created beside the restored database belongs to that.
                for name in beside:
                    _move(at.parent, name, at.staging)
                if at.parent.look(target) is not None:
                    at.parent.rename(target, at.staging, self._staged_name)
            for name in self._names:
                if at.aside.look(name) is not None:
                    _set_aside(at.parent, name, at.aside)
                    at.aside.rename(name, at.parent, name)

    def clear_staged(self, release: Release) -> None:
        """Delete the directory of the restored one. Raises Failure or OSError."""
        staging = Path(self.staged).parent
        with suppress(FileNotFoundError), open_recorded(release, staging.parent) as handle:
            handle.remove(staging.name)

    @contextmanager
    def _opened(self, release: Release) -> Iterator[_Opened]:
        parent, staging = Path(self.target).parent, Path(self.staged).parent
        with ExitStack() as stack:
            opened = _Opened(
                stack.enter_context(open_recorded(release, parent)),
                stack.enter_context(open_recorded(release, staging, make=True, mode=PRIVATE)),
                stack.enter_context(
                    open_recorded(release, Path(self.aside), make=True, mode=PRIVATE)
                ),
            )
            yield opened
            for handle in (opened.parent, opened.staging, opened.aside):
                handle.sync()

    @property
    def _names(self) -> tuple[str, ...]:
        target = Path(self.target)
        return tuple(path.name for path in files_of(target)) if self.is_database else (target.name,)

    @property
    def _staged_name(self) -> str:
        return Path(self.staged).name


@dataclass(frozen=True)
class Places:
    """Directories on the target's disk, so that renaming is enough."""

    staging: Path
    aside: Path


def places(
    release: Release, parent: DirectoryHandle, name: str, staging: Path, aside: Path
) -> Places:
    """The given directories, or others above the target if it is on another disk.

    + parent, name: of the target
    + staging, aside: in the directory of the app; they need not exist

    Raises Failure if the target cannot be renamed.
    """
    with suppress(FileNotFoundError):
        if parent.is_mount_point(name):
            raise Failure(
                f"{parent.path / name} is a mount point, which cannot be renamed",
                fix="stop the app, and unpack the file of the backup into it manually",
            )
    with open_recorded(release, staging.parent, make=True, mode=PRIVATE) as home:
        if home.disk == parent.disk:
            return Places(staging, aside)
    above = _private_place(release, parent)
    return Places(
        above / f".gpuhost-restore-{staging.name}",
        above / f".gpuhost-{aside.parent.name}-{aside.name}",
    )


def _private_place(release: Release, parent: DirectoryHandle) -> Path:
    """The nearest directory above, on the same disk, in which containers cannot write.

    If there is none, the target's own: then the app can damage its own restored data, no more.
    """
    own = parent.path
    for path in (own, *own.parents):
        with open_recorded(release, path) as handle:
            if handle.disk != parent.disk:
                break
            if not is_of_containers(release, handle):
                return path
    return own


def _set_aside(parent: DirectoryHandle, name: str, aside: DirectoryHandle) -> None:
    """Under its own name, or another one if that is taken."""
    if parent.look(name) is None:
        return
    free, number = name, 1
    while aside.look(free) is not None:
        number += 1
        free = f"{name}.{number}"
    parent.rename(name, aside, free)


def _move(parent: DirectoryHandle, name: str, to: DirectoryHandle) -> None:
    if parent.look(name) is not None:
        to.remove(name)
        parent.rename(name, to, name)
