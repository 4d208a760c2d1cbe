"""Exchanges present files for restored ones by renaming, and back.

Each step can be repeated after an interruption: a file that is still staged is not in place yet.
All renames are by handle: the directories are opened after the app was stopped, and a link that it
has put in their paths meanwhile is refused. Nothing that was set aside is overwritten.
"""

from __future__ import annotations

import errno
import os
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path
from shlex import quote

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.safe_paths import open_recorded, private_above
from gpuhost.runner.data.sqlite_check import BESIDE
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure, explained

PRIVATE = 0o700
# Of a file system without hard links, or for something that is no file.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
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
            if at.aside.look(self._name) is None:
                self._move(at.parent, self._name, at.aside, self._name)
            self._vacate(at)
            at.staging.rename(self._staged_name, at.parent, self._name)

    def undo(self, app: AppPaths) -> None:
        """Move the previous one back. Raises Failure or OSError."""
        with self._opened(app) as at:
            if at.staging.look(self._staged_name) is None:
                # What the app created beside the restored database belongs to that.
                self._move(at.parent, self._name, at.staging, self._staged_name)
            if at.aside.look(self._name) is not None:
                self._vacate(at)
                if self._has_links(at):
                    self._move(at.aside, self._name, at.parent, self._name)
                else:
                    at.aside.rename(self._name, at.parent, self._name)
            self._drop_links(at.aside, self._name, at.parent, self._name)
            if not self._has_links(at):
                # The rest, also of an exchange that was cut before the database itself.
                self._move(at.aside, self._name, at.parent, self._name)
            self._drop_links(at.parent, self._name, at.staging, self._staged_name)

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

    def _move(self, origin: DirectoryHandle, name: str, to: DirectoryHandle, new: str) -> None:
        """At any moment it is complete in one of both: an app that starts meanwhile cannot make
        another one beside which its -wal file stays.
        """
        for ending in self._endings:
            if origin.look(name + ending) is not None:
                _link(origin, name + ending, to, new + ending)
        if origin.look(name) is not None:
            origin.rename(name, to, new)
        self._drop_links(origin, name, to, new)

    def _drop_links(
        self, directory: DirectoryHandle, name: str, to: DirectoryHandle, new: str
    ) -> None:
        """Of an exchange, or one that was interrupted."""
        for ending in self._endings:
            _drop_link(directory, name + ending, to, new + ending)

    def _has_links(self, at: _Opened) -> bool:
        """Whether what is aside beside a database can have two names. If it has, it is no longer of
        use: the app may have gone on with the database.
        """
        left = [self._name + one for one in self._endings if at.aside.look(self._name + one)]
        return not left or _takes_links(at.aside, left[0])

    def _vacate(self, at: _Opened) -> None:
        """Set aside what an app has made in place of a database or directory, or beside it."""
        self._drop_links(at.parent, self._name, at.aside, self._name)
        self._drop_links(at.parent, self._name, at.staging, self._staged_name)
        endings = ("", *self._endings)
        if any(at.parent.look(self._name + ending) is not None for ending in endings):
            self._move(at.parent, self._name, at.aside, _free(at.aside, self._name, endings))

    @property
    def _name(self) -> str:
        return Path(self.target).name

    @property
    def _endings(self) -> tuple[str, ...]:
        return BESIDE if self.is_database else ()

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


def _link(origin: DirectoryHandle, name: str, to: DirectoryHandle, new: str) -> None:
    """A second name. What has it already, of an exchange that was interrupted, is older."""
    _drop_link(to, new, origin, name)
    if to.look(new) is not None:
        to.rename(new, to, _free(to, new))
    try:
        origin.hard_link(name, to, new)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        origin.rename(name, to, new)


def _takes_links(directory: DirectoryHandle, name: str) -> bool:
    probe = _free(directory, f"{name}.link")
    try:
        directory.hard_link(name, directory, probe)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return False
    directory.unlink(probe)
    return True


def _drop_link(directory: DirectoryHandle, name: str, to: DirectoryHandle, new: str) -> None:
    """Remove the name of a file that has the other name too."""
    one, other = directory.look(name), to.look(new)
    if one and other and os.path.samestat(one, other):
        directory.unlink(name)


def _free(directory: DirectoryHandle, name: str, endings: tuple[str, ...] = ("",)) -> str:
    """The name, or another one if it is taken, also with one of the endings."""
    free, number = name, 1
    while any(directory.look(free + ending) is not None for ending in endings):
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
