"""An open directory, for paths that an app can write to.

Between a look at a path and its use, a container can put a link, a pipe or another file there. A
handle stays the directory that was opened; a name is looked up in it alone, and is never followed.
"""

from __future__ import annotations

import errno
import os
import stat
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from types import TracebackType
from typing import BinaryIO

DIRECTORY = os.O_RDONLY | os.O_DIRECTORY | os.O_CLOEXEC
# A pipe would block the one who opens it, a terminal would become the runner's own.
SAFE = os.O_NOFOLLOW | os.O_NONBLOCK | os.O_NOCTTY | os.O_CLOEXEC
# The mode of a new directory.
MODE = 0o755


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
        """Where it is now: for messages, and for programs that take only paths."""
        return Path(f"/proc/self/fd/{self.number}").readlink()

    def state(self) -> os.stat_result:
        return os.fstat(self.number)

    def names(self) -> list[str]:
        return sorted(os.listdir(self.number))  # noqa: PTH208 - a Path has no handles

    def look(self, name: str) -> os.stat_result | None:
        """The state of a name, also of a link itself; None: it does not exist."""
        try:
            return os.stat(_single(name), dir_fd=self.number, follow_symlinks=False)
        except FileNotFoundError:
            return None

    def enter(self, name: str) -> DirectoryHandle:
        flags = DIRECTORY | os.O_NOFOLLOW
        return DirectoryHandle(os.open(_single(name), flags, dir_fd=self.number))

    def follow(self, name: str) -> DirectoryHandle:
        """Like `enter`, through a link: only if root alone can have made it."""
        return DirectoryHandle(os.open(_single(name), DIRECTORY, dir_fd=self.number))

    def make(self, name: str, mode: int = MODE) -> DirectoryHandle:
        """Create a directory, with this mode whatever the umask is."""
        os.mkdir(_single(name), mode, dir_fd=self.number)
        made = self.enter(name)
        os.fchmod(made.number, mode)
        return made

    def read(self, name: str) -> BinaryIO:
        """A regular file, open for reading."""
        return os.fdopen(self._open(name, os.O_RDONLY), "rb")

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
        self.remove(draft)
        with self.create(draft, 0o600) as file:
            os.fchown(file.fileno(), *owner)
            os.fchmod(file.fileno(), mode)
            file.write(content)
            file.flush()
            os.fsync(file.fileno())
        self.rename(draft, self, name)
        self.sync()

    def holds(self, name: str, content: bytes, mode: int) -> bool:
        """Whether this is a regular file with this content and mode."""
        state = self.look(name)
        if state is None or (state.st_mode, state.st_size) != (stat.S_IFREG | mode, len(content)):
            return False
        with self.read(name) as file:
            return file.read(len(content) + 1) == content

    def rename(self, name: str, to: DirectoryHandle, new_name: str) -> None:
        os.rename(_single(name), _single(new_name), src_dir_fd=self.number, dst_dir_fd=to.number)

    def unlink(self, name: str) -> None:
        os.unlink(_single(name), dir_fd=self.number)

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

        A mount in it has errno EXDEV: what is mounted there is not deleted.
        """
        state = self.look(name)
        if state is None:
            return
        if not stat.S_ISDIR(state.st_mode):
            self.unlink(name)
            return
        with self.enter(name) as top:
            top.empty()
        os.rmdir(name, dir_fd=self.number)

    def empty(self) -> None:
        """Delete the content. Directories are moved up first, so that depth costs no handles."""
        while names := self.names():
            for name in names:
                state = self.look(name)
                if state is None:
                    continue
                if not stat.S_ISDIR(state.st_mode):
                    self.unlink(name)
                    continue
                with self.enter(name) as inner:
                    if inner.state().st_dev != self.state().st_dev:
                        raise OSError(errno.EXDEV, "something is mounted there", name)
                    for moved in inner.names():
                        inner._move_up(moved, self)
                os.rmdir(name, dir_fd=self.number)

    def sync(self) -> None:
        os.fsync(self.number)

    def _open(self, name: str, flags: int) -> int:
        number = os.open(_single(name), flags | SAFE, dir_fd=self.number)
        if not stat.S_ISREG(os.fstat(number).st_mode):
            os.close(number)
            raise OSError(errno.EINVAL, "not a regular file", name)
        return number

    def _entry(self, name: str, path: str) -> Entry | None:
        state = self.look(name)
        return Entry(path, self, name, state) if state else None

    def _move_up(self, name: str, above: DirectoryHandle) -> None:
        state = self.look(name)
        if state is None:
            return
        if stat.S_ISDIR(state.st_mode):
            self.rename(name, above, f".gpuhost-{state.st_dev}-{state.st_ino}")
        else:
            self.unlink(name)


def _descend(entry: Entry, open_levels: list[tuple[DirectoryHandle, str, Iterator[str]]]) -> None:
    if not entry.is_directory:
        return
    try:
        handle = entry.parent.enter(entry.name)
    except (FileNotFoundError, NotADirectoryError):
        return
    open_levels.append((handle, entry.path, iter(handle.names())))


def _single(name: str) -> str:
    if name in ("", ".", "..") or "/" in name or "\0" in name:
        raise OSError(errno.EINVAL, "not a single name", name)
    return name
