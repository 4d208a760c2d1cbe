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
# The file system has no hard links, or this is not a file.
NO_LINKS = (errno.EPERM, errno.EOPNOTSUPP, errno.ENOSYS, errno.EMLINK)
FIX = "correct that, then restore again: nothing is deleted"


@dataclass(frozen=True)
class _Place:
    """A name in an open directory, whatever it has."""

    directory: DirectoryHandle
    name: str

    def look(self) -> os.stat_result | None:
        return self.directory.look(self.name)

    def beside(self, ending: str) -> _Place:
        return _Place(self.directory, self.name + ending)

    def move(self, to: _Place) -> None:
        self.directory.rename(self.name, to.directory, to.name)


@dataclass(frozen=True)
class _Opened:
    """+ staged: the restored one; + previous: where that is kept"""

    target: _Place
    staged: _Place
    previous: _Place


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
            if at.staged.look() is None:
                if is_begun:
                    return
                raise Failure(
                    f"{self.staged} does not exist any more: the app can delete it there",
                    fix="restore again",
                )
            at.staged.directory.sync()
            begin()
            if at.previous.look() is None:
                self._move(at.target, at.previous)
            self._set_aside_new(at)
            at.staged.move(at.target)

    def undo(self, app: AppPaths) -> None:
        """Move the previous one back. Raises Failure or OSError."""
        with self._opened(app) as at:
            if at.staged.look() is None:
                # What the app created beside the restored database belongs to that.
                self._move(at.target, at.staged)
            if at.previous.look() is not None:
                self._set_aside_new(at)
                self._move(at.previous, at.target, database_first=True)
            self._drop_links(at.previous, at.target)
            if self._was_cut_without_links(at.previous):
                self._move(at.previous, at.target)
            self._drop_links(at.target, at.staged)

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
        target, staged = Path(self.target), Path(self.staged)
        with explained(f"{self.target} cannot be exchanged", FIX), ExitStack() as stack:
            parent = stack.enter_context(open_recorded(app, target.parent))
            staging = _enter_staging(stack, app, staged.parent)
            # On the disk of the staging directory, which is mounted: that exists.
            kept = open_recorded(app, Path(self.aside), make=True, mode=PRIVATE)
            aside = stack.enter_context(kept)
            yield _Opened(
                target=_Place(parent, target.name),
                staged=_Place(staging, staged.name),
                previous=_Place(aside, target.name),
            )
            for handle in (parent, staging, aside):
                handle.sync()

    def _move(self, origin: _Place, to: _Place, *, database_first: bool = False) -> None:
        """The database and the files beside it are at any moment complete in one of the two places:
        an app that starts meanwhile finds one, and makes no other beside an old -wal file.

        + database_first: where the file system has no hard links
        """
        found = [one for one in self._endings if origin.beside(one).look() is not None]
        left = [one for one in found if not _link(origin.beside(one), to.beside(one))]
        for ending in ("", *left) if database_first else (*left, ""):
            if origin.beside(ending).look() is not None:
                origin.beside(ending).move(to.beside(ending))
        self._drop_links(origin, to)

    def _was_cut_without_links(self, previous: _Place) -> bool:
        """Then files are kept that the database in place needs. With hard links they are older: the
        app may have gone on with it.
        """
        files = (previous.beside(ending) for ending in self._endings)
        kept = next((one for one in files if one.look() is not None), None)
        return previous.look() is None and kept is not None and not _takes_links(kept)

    def _drop_links(self, place: _Place, other: _Place) -> None:
        """Of an exchange, or one that was interrupted."""
        for ending in self._endings:
            _drop_link(place.beside(ending), other.beside(ending))

    def _set_aside_new(self, at: _Opened) -> None:
        """What an app has made in place of a database or directory, or beside it."""
        self._drop_links(at.target, at.previous)
        self._drop_links(at.target, at.staged)
        endings = ("", *self._endings)
        if any(at.target.beside(ending).look() is not None for ending in endings):
            aside = at.previous.directory
            self._move(at.target, _Place(aside, _free(aside, at.target.name, endings)))

    @property
    def _endings(self) -> tuple[str, ...]:
        return BESIDE if self.is_database else ()


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


def _link(origin: _Place, to: _Place) -> bool:
    """A second name. What has it already, of an exchange that was interrupted, is older.

    False: the file system has no hard links.
    """
    _drop_link(to, origin)
    if to.look() is not None:
        to.move(_Place(to.directory, _free(to.directory, to.name)))
    try:
        origin.directory.hard_link(origin.name, to.directory, to.name)
    except OSError as error:
        if error.errno not in NO_LINKS:
            raise
        return False
    return True


def _takes_links(place: _Place) -> bool:
    probe = place.beside(".link")
    is_linked = _link(place, probe)
    _drop_link(probe, place)
    return is_linked


def _drop_link(place: _Place, other: _Place) -> None:
    """Remove the name of a file that has the other name too."""
    one, same = place.look(), other.look()
    if one and same and os.path.samestat(one, same):
        place.directory.unlink(place.name)


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
