"""An open directory, for paths that an app can write to.

Between a look at a path and its use, a container can put a link, a pipe or another file there. A
handle stays the directory that was opened; a name is looked up in it alone, and is never followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterable, Iterator
from contextlib import suppress
from dataclasses import dataclass
from itertools import islice
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

from gpuhost.runner.lib import abort

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe would block the one who opens it, a terminal would become the runner's own.
SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# The mode of a new directory.
MODE = 0o755
# Of what is deleted: names at a time, and rounds, at least one for each level of a tree.
MOST_NAMES = 10_000
MOST_ROUNDS = 100_000


@dataclass(frozen=True)
class Entry:
    """Something in a tree. + path: from the top of the tree; + parent: open until the next entry"""

    path: str
    parent: DirectoryHandle
    name: str
    state: os.stat_result

    @property
    def is_directory(self) -> bool:
        return stat.S_ISDIR(self.state.st_mode)

    @property
    def is_file(self) -> bool:
        return stat.S_ISREG(self.state.st_mode)

    @property
    def is_link(self) -> bool:
        return stat.S_ISLNK(self.state.st_mode)


class DirectoryHandle:
    """Names are single components; each method raises OSError as the system call does.

    A link has errno ELOOP or ENOTDIR; what is neither a file, a directory nor a link, EINVAL.
    """

    def __init__(self, number: int) -> None:
        self.number = number

    @classmethod
    def open(cls, path: Path) -> DirectoryHandle:
        """Follows links: only for paths in which root alone can write."""
        return cls(os.open(path, DIRECTORY))

    def __enter__(self) -> DirectoryHandle:
        return self

    def __exit__(
        self,
        kind: type[BaseException] | None,
        error: BaseException | None,
        trace: TracebackType | None,
    ) -> None:
        self.close()

    def close(self) -> None:
        os.close(self.number)

    @property
    def path(self) -> Path:
        """Where it is now."""
        return self.within.readlink()

    @property
    def within(self) -> Path:
        """For programs that take only paths: it stays this directory."""
        return Path(f"/proc/self/fd/{self.number}")

    def state(self) -> os.stat_result:
        return os.fstat(self.number)

    @property
    def disk(self) -> tuple[int, int]:
        """Equal for directories between which a rename works: the same device, the same mount."""
        return self.state().st_dev, mount_of(self.number)

    def is_mount_point(self, name: str) -> bool:
        """Whether something is mounted at a name, also if it is of the same device."""
        number = os.open(_single(name), os.O_PATH | SAFE, dir_fd=self.number)
        try:
            return mount_of(number) != mount_of(self.number)
        finally:
            os.close(number)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.number))  # noqa: PTH208 - a Path has no handles

    def iterate(self) -> Iterator[str]:
        """The names in no order, without keeping them all."""
        with os.scandir(self.number) as entries:
            for entry in entries:
                yield entry.name

    def look(self, name: str) -> os.stat_result | None:
        """The state of a name, also of a link itself; None: it does not exist."""
        try:
            return os.stat(_single(name), dir_fd=self.number, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def enter(self, name: str) -> DirectoryHandle:
        flags = DIRECTORY | os.O_NOFOLLOW
        return DirectoryHandle(os.open(_single(name), flags, dir_fd=self.number))

    def descend(self, names: Iterable[str], *, make: bool = False) -> DirectoryHandle:
        """A directory below, through no link. + make: create missing ones"""
        handle = DirectoryHandle(os.dup(self.number))
        for name in names:
            with handle:
                handle = handle.make_or_enter(name) if make else handle.enter(name)
        return handle

    def make_or_enter(self, name: str, mode: int = MODE) -> DirectoryHandle:
        with suppress(FileExistsError):
            return self.make(name, mode)
        return self.enter(name)

    def make(self, name: str, mode: int = MODE) -> DirectoryHandle:
        """Create a directory, with this mode whatever the umask is."""
        os.mkdir(_single(name), mode, dir_fd=self.number)
        made = self.enter(name)
        os.fchmod(made.number, mode)
        return made

    def read(self, name: str) -> BinaryIO:
        """A regular file, open for reading."""
        return os.fdopen(self._open(name, os.O_RDONLY), "rb")

    def update(self, name: str) -> BinaryIO:
        """A regular file, open for reading and changing."""
        return os.fdopen(self._open(name, os.O_RDWR), "r+b")

    def create(self, name: str, mode: int = 0o600) -> BinaryIO:
        """A new file, open for writing; FileExistsError also for a link."""
        number = os.open(
            _single(name), os.O_WRONLY | os.O_CREAT | os.O_EXCL | SAFE, mode, dir_fd=self.number
        )
        os.fchmod(number, mode)
        return os.fdopen(number, "wb")

    def overwrite(self, name: str, content: bytes, mode: int) -> None:
        """In place: a container that mounts the file would not see a new one."""
        try:
            number = self._open(name, os.O_WRONLY)
        except FileNotFoundError:
            file = self.create(name, mode)
        else:
            file = os.fdopen(number, "wb")
        with file:
            os.fchmod(file.fileno(), mode)
            os.ftruncate(file.fileno(), 0)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())

    def replace(self, name: str, content: bytes, mode: int, owner: tuple[int, int]) -> None:
        """Write a file, or another in its place, atomically. + owner: uid, gid"""
        draft = f".{name}.new"
        self.discard(draft)
        with self.create(draft, 0o600) as file:
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        state = self.look(name)
        if state and stat.S_ISDIR(state.st_mode):
            self._discard_directory(name)
        self.rename(draft, self, name)
        self.sync()

    def holds(self, name: str, content: bytes, mode: int) -> bool:
        """Whether this is a regular file with this content and mode."""
        state = self.look(name)
        if state is None or (state.st_mode, state.st_size) != (stat.S_IFREG | mode, len(content)):
            return False
        with self.read(name) as file:
            return file.read(len(content) + 1) == content

    def link_target(self, name: str) -> str:
        return os.readlink(_single(name), dir_fd=self.number)

    def link(self, name: str, target: str) -> None:
        """Create a symbolic link."""
        os.symlink(target, _single(name), dir_fd=self.number)

    def rename(self, name: str, to: DirectoryHandle, new_name: str) -> None:
        os.rename(_single(name), _single(new_name), src_dir_fd=self.number, dst_dir_fd=to.number)

    def hard_link(self, name: str, to: DirectoryHandle, new_name: str) -> None:
        """A second name of a file, or of a link itself."""
        names = _single(name), _single(new_name)
        os.link(*names, src_dir_fd=self.number, dst_dir_fd=to.number, follow_symlinks=False)

    def unlink(self, name: str) -> None:
        os.unlink(_single(name), dir_fd=self.number)

    def discard(self, name: str) -> None:
        """Delete a file, a link or an empty directory, if it exists; not a tree, which a container
        could go on filling.
        """
        try:
            self.unlink(name)
        except FileNotFoundError:
            return
        except IsADirectoryError:
            self._discard_directory(name)

    def rmdir(self, name: str) -> None:
        os.rmdir(_single(name), dir_fd=self.number)

    def walk(self, name: str) -> Iterator[Entry]:
        """A file, a link or a whole tree, each directory before its content.

        What disappears meanwhile is left out. A handle stays open for each level.
        """
        top = self._entry(name, name)
        if top is None:
            return
        yield top
        open_levels: list[tuple[DirectoryHandle, str, Iterator[str]]] = []
        try:
            _descend(top, open_levels)
            while open_levels:
                abort.look()
                parent, path, names = open_levels[-1]
                inner = next(names, None)
                if inner is None:
                    open_levels.pop()[0].close()
                elif entry := parent._entry(inner, f"{path}/{inner}"):
                    yield entry
                    _descend(entry, open_levels)
        finally:
            for parent, _, _ in open_levels:
                parent.close()

    def remove(self, name: str) -> None:
        """Delete a file, a link or a whole tree, however deep; nothing happens if it is missing.

        An abort leaves a part of the tree.

        A mount at it or in it has errno EXDEV: what is mounted there is not deleted.
        """
        if self._removed(name):
            return
        with self.enter(name) as top:
            top.empty()
        self.rmdir(name)

    def empty(self) -> None:
        """Delete the content. Directories are moved up first, so that depth costs no handles.

        errno EBUSY: a container goes on filling it.
        """
        for _ in range(MOST_ROUNDS):
            names = list(islice(self.iterate(), MOST_NAMES))
            if not names:
                return
            for name in names:
                # It may disappear meanwhile, or become something else: that is of the next round.
                with suppress(FileNotFoundError, IsADirectoryError, NotADirectoryError):
                    self._delete(name)
        raise OSError(errno.EBUSY, "its content does not end", str(self.path))

    def sync(self) -> None:
        os.fsync(self.number)

    def _open(self, name: str, flags: int) -> int:
        """A device is not opened even to look at it: opening a watchdog starts it."""
        found = os.open(_single(name), os.O_PATH | SAFE, dir_fd=self.number)
        try:
            mode = os.fstat(found).st_mode
            if stat.S_ISLNK(mode):
                raise OSError(errno.ELOOP, os.strerror(errno.ELOOP), name)
            if not stat.S_ISREG(mode):
                raise OSError(errno.EINVAL, "not a regular file", name)
            return os.open(f"/proc/self/fd/{found}", flags | SAFE & ~os.O_NOFOLLOW)
        except BlockingIOError as error:
            raise OSError(error.errno, "a program holds a lease on it", name) from error
        finally:
            os.close(found)

    def _discard_directory(self, name: str) -> None:
        """Docker makes an empty one where the file of a bind mount is missing."""
        try:
            self.rmdir(name)
        except OSError as error:
            words = "a directory is in its place: move it elsewhere"
            raise OSError(error.errno, words, str(self.path / name)) from error

    def _removed(self, name: str) -> bool:
        """Delete what is no directory. False: it is one, and nothing is mounted there."""
        state = self.look(name)
        if state is None:
            return True
        if not stat.S_ISDIR(state.st_mode):
            self.unlink(name)
            return True
        if self.is_mount_point(name):
            raise OSError(errno.EXDEV, "something is mounted there", name)
        return False

    def _entry(self, name: str, path: str) -> Entry | None:
        state = self.look(name)
        return Entry(path, self, name, state) if state else None

    def _delete(self, name: str) -> None:
        abort.look()
        if self._removed(name):
            return
        with self.enter(name) as inner:
            for moved in list(islice(inner.iterate(), MOST_NAMES)):
                inner._move_up(moved, self)
        try:
            self.rmdir(name)
        except OSError as error:
            if error.errno != errno.ENOTEMPTY:  # what is left is of the next round
                raise

    def _move_up(self, name: str, above: DirectoryHandle) -> None:
        abort.look()
        state = self.look(name)
        if state is None or self._removed(name):
            return
        # A container may have used the name.
        free, number = f".gpuhost-{state.st_dev}-{state.st_ino}", 0
        while above.look(free) is not None:
            number += 1
            free = f".gpuhost-{state.st_dev}-{state.st_ino}.{number}"
        self.rename(name, above, free)


def _descend(entry: Entry, open_levels: list[tuple[DirectoryHandle, str, Iterator[str]]]) -> None:
    if not entry.is_directory:
        return
    try:
        handle = entry.parent.enter(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    open_levels.append((handle, entry.path, handle.iterate()))


def mount_of(number: int) -> int:
    """The id of the mount that an open file is in."""
    for line in Path(f"/proc/self/fdinfo/{number}").read_text(encoding="ascii").splitlines():
        key, _, value = line.partition(":")
        if key == "mnt_id":
            return int(value)
    raise OSError(errno.ENODATA, "the kernel does not tell the mount of a file")


def _single(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not a single name", name)
    return name
