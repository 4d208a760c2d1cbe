"""Unpacks the tarballs of backups, those of earlier versions too."""

from __future__ import annotations

import ctypes
import os
import stat
import tarfile
from contextlib import ExitStack
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.data import tarball_member
from gpuhost.runner.data.room import require_room_in
from gpuhost.runner.data.tarball_read import Archive, failing_as_one, open_archive, open_files
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure

DEFAULT_ACL = "system.posix_acl_default"


def unpack(source: Path, into: Path) -> str:
    """Unpack into an empty directory of root (0700), with numeric owners; the name there.

    Raises Failure for an incomplete archive, or one with paths outside of it.
    """
    with open_archive(source) as raw, failing_as_one(source), open_files():
        archive = Archive(raw)
        # Beside data on another disk, the app can write to the directory above.
        with DirectoryHandle.open(into.parent) as above, above.enter(into.name) as top:
            _remove_default_acl(top)
            unpacker = _Unpacker(source.name, top)
            try:
                for info in archive.members():
                    unpacker.add(info, archive)
                unpacker.end()
            finally:
                unpacker.close()
        archive.read_to_end()
    return unpacker.top_name


@dataclass
class _Level:
    handle: DirectoryHandle
    path: str
    info: tarfile.TarInfo


class _Unpacker:
    """Creates each entry in the directory that is open: a link is never a part of a path."""

    def __init__(self, archive: str, top: DirectoryHandle) -> None:
        self._archive, self._top = archive, top
        self._levels: list[_Level] = []
        self.top_name = ""

    def add(self, info: tarfile.TarInfo, archive: Archive) -> None:
        """Raises Failure or OSError."""
        require_room_in(self._top)
        path = tarball_member.path_of(info)
        parent, name = self._enter(path)
        if info.isdir():
            handle = parent.make(name, 0o700)
            self._levels.append(_Level(handle, path, info))
        elif info.islnk():
            self._link(info, parent, name)
        elif info.issym():
            os.symlink(info.linkname, name, dir_fd=parent.number)
            os.chown(name, info.uid, info.gid, dir_fd=parent.number, follow_symlinks=False)
            time = tarball_member.mtime_ns(info)
            os.utime(name, ns=(time, time), dir_fd=parent.number, follow_symlinks=False)
        elif info.isreg():
            with parent.create(name) as file:
                for offset, piece in archive.content(info):
                    require_room_in(self._top)
                    file.seek(offset)
                    file.write(piece)
                file.truncate(tarball_member.size_of(info))
                file.flush()
                _apply(file.fileno(), info)
        else:
            raise Failure(f"{self._archive}: {path!r} is not a file, directory or link")

    def end(self) -> None:
        self._leave("")
        if not self.top_name:
            raise Failure(f"{self._archive}: there is nothing in it")
        _sync_file_system(self._top)

    def close(self) -> None:
        for level in self._levels:
            level.handle.close()

    def _enter(self, path: str) -> tuple[DirectoryHandle, str]:
        """The directory of an entry, which must be the last one or above it."""
        directory, _, name = path.rpartition("/")
        self._leave(directory)
        is_top = not directory and not path.startswith("/")
        if is_top and not self.top_name:
            self.top_name = name
            return self._top, name
        if is_top or not self._levels or self._levels[-1].path != directory:
            raise Failure(f"{self._archive}: {path!r} is outside of its directory")
        return self._levels[-1].handle, name

    def _leave(self, directory: str) -> None:
        """Directories that are complete get their owner, mode and time."""
        while self._levels:
            level = self._levels[-1]
            if directory and f"{directory}/".startswith(f"{level.path}/"):
                return
            _apply(level.handle.number, level.info)
            self._levels.pop().handle.close()

    def _link(self, info: tarfile.TarInfo, parent: DirectoryHandle, name: str) -> None:
        """A second name of a file that is there already."""
        with ExitStack() as handles:
            *directories, first = info.linkname.split("/")
            handle = self._top
            for directory in directories:
                handle = handles.enter_context(handle.enter(directory))
            state = handle.look(first)
            if state is None or not stat.S_ISREG(state.st_mode):
                raise Failure(f"{self._archive}: {info.linkname!r} is not a file before {name!r}")
            os.link(
                *(first, name),
                src_dir_fd=handle.number,
                dst_dir_fd=parent.number,
                follow_symlinks=False,
            )


def _apply(number: int, info: tarfile.TarInfo) -> None:
    """The owner first: a change of it removes the other ones."""
    os.fchown(number, info.uid, info.gid)
    for name, value in tarball_member.xattrs_of(info):
        os.setxattr(number, name, value)
    os.fchmod(number, stat.S_IMODE(info.mode))
    time = tarball_member.mtime_ns(info)
    os.utime(number, ns=(time, time))


def _sync_file_system(directory: DirectoryHandle) -> None:
    """One by one, a million files would take hours. Python has no function for it."""
    library = ctypes.CDLL(None, use_errno=True)
    if abort.in_background(lambda: library.syncfs(directory.number)) != 0:
        number = ctypes.get_errno()
        raise OSError(number, os.strerror(number))


def _remove_default_acl(directory: DirectoryHandle) -> None:
    """It would apply to everything inside."""
    if DEFAULT_ACL in tarball_member.read_xattrs(directory.number):
        os.removexattr(directory.number, DEFAULT_ACL)
