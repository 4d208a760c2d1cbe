"""Copies content of the source into shared/, once: the beginning of the app's data."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager, suppress
from typing import BinaryIO

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import explained
from gpuhost.runner.lib.files import pieces, read_state_json, write_json
from gpuhost.runner.lib.room import Room, on_disk, require_left
from gpuhost.runner.lib.source_paths import open_real, resolved
from gpuhost.runner.state.release import Release

# A file that is not complete.
PART = ".gpuhost-part"
FREE_SPACE = "free disk space, and release again: the copy continues"


def seed(release: Release, path: str) -> None:
    """Copy a file or directory that shared/ does not have yet.

    An interrupted copy continues, and so does one that an earlier release could not end. It gets
    the owner of the directory that it is copied into.

    Raises Failure.
    """
    copied, app = release.record.copied, release.app
    has_begun = path in copied or path in unfinished(app)
    if copied.get(path) or (not has_begun and _exists(release, path)):
        return
    what = f"copying {path} of the source to shared/"
    with (
        explained(what, errors=(OSError, RecursionError)),
        _opened(release, path) as (source, into, names),
    ):
        need = sum(_missing(source, own, into, name) for own, name in names.items())
        to_copy = f"to copy {path} of the source to shared/"
        Room.of(into).require(need, to_copy, str(into.path), FREE_SPACE)
        write_json(app.copying, {**unfinished(app), path: release.plan.id})
        release.remember(copied={**copied, path: False})
        for own, name in names.items():
            _copy(source, own, into, name, into.state())
    abort.in_background(os.sync)
    release.remember(copied={**release.record.copied, path: True})
    write_json(app.copying, {key: id_ for key, id_ in unfinished(app).items() if key != path})
    release.log.write(f"{path}: copied from the source to shared/")


def unfinished(app: AppPaths) -> dict[str, str]:
    """Paths whose copy has not ended: path to the release that began it.

    Raises OSError.
    """
    return read_state_json(app.copying)


def _exists(release: Release, path: str) -> bool:
    try:
        with open_directory(release, path) as handle:
            return bool(handle.names())
    except NotADirectoryError:
        return True
    except FileNotFoundError:
        return False


@contextmanager
def _opened(
    release: Release, path: str
) -> Iterator[tuple[DirectoryHandle, DirectoryHandle, dict[str, str]]]:
    """A directory of the source, the one of shared/, and what is copied: name to new name.

    Raises Failure or OSError.
    """
    real = resolved(release.source / path)
    is_directory = real.is_dir()
    above, name = posixpath.split(path)
    with (
        open_real(release.source, real if is_directory else real.parent) as source,
        open_directory(release, path if is_directory else above or ".", make=True) as into,
    ):
        names = {each: each for each in source.names()} if is_directory else {real.name: name}
        into.discard(PART)
        yield source, into, names


def _missing(source: DirectoryHandle, own: str, into: DirectoryHandle | None, name: str) -> int:
    """Bytes on the disk that a copy still needs. What an interrupted one has left is deleted.

    + into: None: it does not exist yet
    """
    abort.look()
    state = source.look(own)
    there = into.look(name) if into else None
    if state is None or not stat.S_ISDIR(state.st_mode):
        is_file = state is not None and not there and stat.S_ISREG(state.st_mode)
        return on_disk(state.st_size if state and is_file else 0)
    with ExitStack() as opened:
        content = opened.enter_context(source.enter(own))
        inner = opened.enter_context(into.enter(name)) if into and there else None
        if inner:
            inner.discard(PART)
        return on_disk(0) + sum(_missing(content, each, inner, each) for each in content.names())


def _copy(
    source: DirectoryHandle, own: str, into: DirectoryHandle, name: str, owner: os.stat_result
) -> None:
    """+ own: its name in the source"""
    abort.look()
    _require_left(into)
    state = source.look(own)
    if state is None:
        raise FileNotFoundError(errno.ENOENT, os.strerror(errno.ENOENT), own)
    if stat.S_ISLNK(state.st_mode):
        with suppress(FileExistsError):
            into.link(name, source.link_target(own))
    elif stat.S_ISDIR(state.st_mode):
        with source.enter(own) as content, into.make_or_enter(name) as inner:
            os.fchown(inner.number, owner.st_uid, owner.st_gid)
            os.fchmod(inner.number, state.st_mode & 0o777)
            for each in content.names():
                _copy(content, each, inner, each, owner)
    elif stat.S_ISREG(state.st_mode):
        with source.read(own) as file:
            _copy_file(file, into, name, owner)


def _require_left(into: DirectoryHandle) -> None:
    """Directories, links and empty files need inodes, and blocks too."""
    require_left(into, "the copy of the source to shared/", FREE_SPACE)


def _copy_file(content: BinaryIO, into: DirectoryHandle, name: str, owner: os.stat_result) -> None:
    """Under another name first: a file with its own name is complete."""
    mode = os.fstat(content.fileno()).st_mode & 0o777
    into.discard(PART)
    try:
        with into.create(PART) as file:
            for piece in pieces(content):
                _require_left(into)
                file.write(piece)
            os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
            os.fchmod(file.fileno(), mode)
            file.flush()
            os.fsync(file.fileno())
    except BaseException:
        # It may be what fills the disk.
        with suppress(OSError), abort.cleanup():
            into.discard(PART)
        raise
    with suppress(FileExistsError):
        into.hard_link(PART, into, name)
    into.unlink(PART)
