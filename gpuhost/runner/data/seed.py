"""Copies content of the source into shared/, once: the beginning of the app's data."""

from __future__ import annotations

import os
import posixpath
import shutil
from contextlib import suppress
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data.safe_paths import locate, open_directory
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_json, write_json
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
    source = release.source / path
    try:
        if source.is_dir():
            with open_directory(release, path, make=True) as handle:
                _copy_content(source, handle, handle.state())
        else:
            with open_directory(release, posixpath.dirname(path) or ".", make=True) as handle:
                _copy(source, handle, source.name, handle.state())
    except OSError as error:
        raise Failure(f"copying {path} of the source to shared/: {error.strerror}") from None
    os.sync()
    release.remember(copied={**release.record.copied, path: True})
    write_json(app.copying, {key: id_ for key, id_ in unfinished(app).items() if key != path})
    release.log.write(f"{path}: copied from the source to shared/")


def unfinished(app: AppPaths) -> dict[str, str]:
    """Paths whose copy has not ended: path to the release that began it."""
    return read_json(app.copying)


def _exists(release: Release, path: str) -> bool:
    target = locate(release, path)
    if target.is_dir() and not target.is_symlink():
        return any(target.iterdir())
    return os.path.lexists(target)


def _copy_content(source: Path, into: DirectoryHandle, owner: os.stat_result) -> None:
    for entry in sorted(source.iterdir()):
        _copy(entry, into, entry.name, owner)


def _copy(source: Path, into: DirectoryHandle, name: str, owner: os.stat_result) -> None:
    if source.is_symlink():
        with suppress(FileExistsError):
            os.symlink(source.readlink(), name, dir_fd=into.number)
    elif source.is_dir():
        with _made(into, name) as inner:
            os.fchown(inner.number, owner.st_uid, owner.st_gid)
            os.fchmod(inner.number, source.stat().st_mode & 0o777)
            _copy_content(source, inner, owner)
    else:
        _copy_file(source, into, name, owner)


def _made(into: DirectoryHandle, name: str) -> DirectoryHandle:
    try:
        return into.make(name)
    except FileExistsError:
        return into.enter(name)


def _copy_file(source: Path, into: DirectoryHandle, name: str, owner: os.stat_result) -> None:
    """Under another name first: a file with its own name is complete."""
    into.remove(PART)
    with source.open("rb") as content, into.create(PART) as file:
        shutil.copyfileobj(content, file)
        os.fchown(file.fileno(), owner.st_uid, owner.st_gid)
        os.fchmod(file.fileno(), source.stat().st_mode & 0o777)
        file.flush()
        os.fsync(file.fileno())
    with suppress(FileExistsError):
        os.link(PART, name, src_dir_fd=into.number, dst_dir_fd=into.number, follow_symlinks=False)
    into.unlink(PART)
