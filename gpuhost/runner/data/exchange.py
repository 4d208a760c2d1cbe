"""Exchanges present files for restored ones by renaming, and back.

Each step can be repeated after an interruption: a file that is still staged is not in place yet.
All renames are by handle: the directories are opened after the app was stopped, and a link that it
has put in their paths meanwhile is refused. Nothing that was set aside is overwritten.
"""

from __future__ import annotations

import errno
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.safe_paths import open_recorded, private_above
from gpuhost.runner.data.sqlite_copy import files_of
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure, explained

PRIVATE = 0o700
FIX = "correct that, then restore again: nothing is deleted"


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

    def put_in_place(self, app: AppPaths, begin: Callable[[], None], *, is_begun: bool) -> None:
        """Move the previous one aside and the restored one in place.

        + begin: called before the first change; if it was not called, there is nothing to undo
        + is_begun: in an earlier call, which was interrupted

        Raises Failure or OSError.
        """
        with self._opened(app) as at:
            if at.staging.look(self._staged_name) is None:
                if is_begun:
                    return
                raise Failure(
                    f"{self.staged} does not exist any more: the app can delete it there",
                    fix="restore again",
                )
            at.staging.sync()
            begin()
            for name in self._names:
                _set_aside(at.parent, name, at.aside)
            at.staging.rename(self._staged_name, at.parent, self._names[0])

    def undo(self, app: AppPaths) -> None:
        """Move the previous one back. Raises Failure or OSError."""
        target, *beside = self._names
        with self._opened(app) as at:
            if at.staging.look(self._staged_name) is None:
                # What the app created beside the restored database belongs to that.
                for name in beside:
                    if at.parent.look(name) is not None:
                        # One that is there already, of an undo that failed, is older.
                        _set_aside(at.staging, name, at.staging)
                        at.parent.rename(name, at.staging, name)
                if at.parent.look(target) is not None:
                    at.parent.rename(target, at.staging, self._staged_name)
            for name in self._names:
                if at.aside.look(name) is not None:
                    _set_aside(at.parent, name, at.aside)
                    at.aside.rename(name, at.parent, name)

    def clear_staged(self, app: AppPaths) -> None:
        """Delete the directory of the restored one. Raises Failure or OSError."""
        staging = Path(self.staged).parent
        with suppress(FileNotFoundError), open_recorded(app, staging.parent) as handle:
            handle.remove(staging.name)

    def set_staged_aside(self, app: AppPaths, aside: str) -> Path | None:
        """Move what is staged to a directory on the same disk, and return its place.

        Raises Failure or OSError.
        """
        staging, place = Path(self.staged).parent, Path(aside)
        with suppress(FileNotFoundError), open_recorded(app, staging.parent) as above:
            if _removed_if_empty(above, staging.name):
                return None
            with open_recorded(app, place.parent, make=True, mode=PRIVATE) as kept:
                name = _free(kept, place.name)
                above.rename(staging.name, kept, name)
                kept.sync()
            return place.with_name(name)
        return None

    def remove_empty_aside(self, app: AppPaths) -> None:
        """After an undo. Raises Failure or OSError."""
        aside = Path(self.aside)
        with suppress(FileNotFoundError), open_recorded(app, aside.parent) as above:
            _removed_if_empty(above, aside.name)

    @contextmanager
    def _opened(self, app: AppPaths) -> Iterator[_Opened]:
        parent, staging = Path(self.target).parent, Path(self.staged).parent
        with explained(f"{self.target} cannot be exchanged", FIX), ExitStack() as stack:
            opened = _Opened(
                stack.enter_context(open_recorded(app, parent)),
                _enter_staging(stack, app, staging),
                # On the disk of the staging directory, which is mounted: that exists.
                stack.enter_context(open_recorded(app, Path(self.aside), make=True, mode=PRIVATE)),
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


def _enter_staging(stack: ExitStack, app: AppPaths, staging: Path) -> DirectoryHandle:
    """It stays until the restore has ended. A new one, in an empty mount point, would look like an
    exchange that is done, or undone.
    """
    try:
        return stack.enter_context(open_recorded(app, staging))
    except FileNotFoundError:
        raise Failure(
            f"{staging} is missing: its disk is not mounted, or it was deleted",
            fix="mount the disk, and restore the same backup again: nothing is deleted; if the "
            f"disk is mounted, first: mkdir -m 700 {quote(str(staging))}",
        ) from None


@dataclass(frozen=True)
class Places:
    """Directories on the target's disk, so that renaming is enough."""

    staging: Path
    aside: Path


def places(app: AppPaths, parent: DirectoryHandle, staging: Path, aside: Path) -> Places:
    """The given directories, or others above the target if it is on another disk.

    + parent: of the target
    + staging, aside: in the directory of the app; they need not exist

    Raises Failure or OSError.
    """
    if all(_disk(app, place.parent) == parent.disk for place in (staging, aside)):
        return Places(staging, aside)
    # Other apps may use the same place.
    # If containers can write there too, the app can damage its own restored data, no more.
    above, number = private_above(app, parent), f"{app.home.name}-{staging.name}"
    with open_recorded(app, above) as handle:
        # An undo must not find there what another restore has set aside.
        kept = _free(handle, f".gpuhost-{aside.parent.name}-{number}")
    return Places(above / f".gpuhost-restore-{number}", above / kept)


def _disk(app: AppPaths, path: Path) -> tuple[int, int]:
    with open_recorded(app, path, make=True, mode=PRIVATE) as handle:
        return handle.disk


def _set_aside(parent: DirectoryHandle, name: str, aside: DirectoryHandle) -> None:
    if parent.look(name) is not None:
        parent.rename(name, aside, _free(aside, name))


def _free(directory: DirectoryHandle, name: str) -> str:
    """The name, or another one if it is taken."""
    free, number = name, 1
    while directory.look(free) is not None:
        number += 1
        free = f"{name}.{number}"
    return free


def _removed_if_empty(above: DirectoryHandle, name: str) -> bool:
    """Remove a directory if it is empty. False: it is not, or it is something else."""
    try:
        above.rmdir(name)
    except FileNotFoundError:
        return True
    except OSError as error:
        if error.errno not in (errno.ENOTEMPTY, errno.EEXIST, errno.ENOTDIR):
            raise
        return False
    return True
