"""Copies content of the source into shared/, once: the beginning of the app's data."""

from __future__ import annotations

import errno
import os
import posixpath
import stat
from contextlib import suppress
from typing import BinaryIO

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import pieces, read_json, write_json
from gpuhost.runner.lib.source_paths import open_real, resolved
from gpuhost.runner.state.release import Release

# A file that is not complete.
PART = ".gpuhost-part"


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
    write_json(app.copying, {**unfinished(app), path: release.plan.id})
    release.remember(copied={**copied, path: False})
    real = resolved(release.source / path)
    above, name = posixpath.split(path)
    try:
        if real.is_dir():
            with (
                open_real(release.source, real) as source,
                open_directory(release, path, make=True) as into,
            ):
                _copy_content(source, into, into.state())
        else:
            with (
                open_real(release.source, real.parent) as source,
                open_directory(release, above or ".", make=True) as into,
            ):
                _copy(source, real.name, into, name, into.state())
    except (OSError, RecursionError) as error:
        reason = error.strerror if isinstance(error, OSError) else "directories are too deep"
        raise Failure(f"copying {path} of the source to shared/: {reason}") from None
    abort.in_background(os.sync)
    release.remember(copied={**release.record.copied, path: True})
    write_json(app.copying, {key: id_ for key, id_ in unfinished(app).items() if key != path})
    release.log.write(f"{path}: copied from the source to shared/")


def unfinished(app: AppPaths) -> dict[str, str]:
    """Paths whose copy has not ended: path to the release that began it."""
    return read_json(app.copying)


def _exists(release: Release, path: str) -> bool:
    try:
        with open_directory(release, path) as handle:
            return bool(handle.names())
    except NotADirectoryError:
        return True
    except FileNotFoundError:
        return False


def _copy_content(source: DirectoryHandle, into: DirectoryHandle, owner: os.stat_result) -> None:
    for name in source.names():
        abort.look()
        _copy(source, name, into, name, owner)


def _copy(
    source: DirectoryHandle, own: str, into: DirectoryHandle, name: str, owner: os.stat_result
) -> None:
    """+ own: its name in the source"""
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
            _copy_content(content, inner, owner)
    elif stat.S_ISREG(state.st_mode):
        with source.read(own) as file:
            _copy_file(file, into, name, owner)


def _copy_file(content: BinaryIO, into: DirectoryHandle, name: str, owner: os.stat_result) -> None:
    """Under another name first: a file with its own name is complete."""
    mode = os.fstat(content.fileno()).st_mode & 0o777
    into.discard(PART)
    with into.create(PART) as file:
        file.writelines(pieces(content))
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), mode)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(PART, name, src_dir_fd=into.number, dst_dir_fd=into.number, follow_symlinks=False)
    into.unlink(PART)
