"""Directories that are there, with their owner, before anything starts."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Directory
from gpuhost.runner.state.release import Owned, Release


@dataclass(frozen=True)
class Owner:
    uid: int
    gid: int


def owner(text: str) -> Owner:
    """ "1001:1001", "www-data:adm", "www-data", "1001": numbers, or names of this host.

    Without a group it is the user's own; for a number that this host does not know, that number.

    Raises Failure for a name that this host does not know.
    """
    user, _, group = text.partition(":")
    uid = int(user) if user.isdecimal() else _known_user(user).pw_uid
    if group:
        return Owner(uid, int(group) if group.isdecimal() else _known_group(group))
    try:
        return Owner(uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        return Owner(uid, uid)


def check(release: Release) -> None:
    """They can be made as declared, as far as that can be seen without it. Raises Failure."""
    for one in release.plan.directories:
        owner(one.owner)
        with _told(one.path), suppress(FileNotFoundError), open_directory(release, one.path):
            continue


def make(release: Release) -> None:
    """shared/ and what the app declares; what is in them is not touched.

    What they were like before is in the release's record.

    Raises Failure before anything is made if an owner is not known.
    """
    owners = [owner(one.owner) for one in release.plan.directories]
    release.app.shared.mkdir(parents=True, exist_ok=True)
    # The outer ones first, whatever order they are declared in.
    for one, its in sorted(
        zip(release.plan.directories, owners, strict=True), key=lambda pair: pair[0].path
    ):
        _make(release, one, its)


def restore_owners(release: Release) -> None:
    """Each as it was before this release. Raises Failure."""
    for path, before in release.record.directories.items():
        with _told(path), open_directory(release, path) as handle:
            _change(handle, before)
            release.log.write(f"{path}: {before} again")


def _make(release: Release, directory: Directory, its: Owner) -> None:
    owned = Owned(its.uid, its.gid, int(directory.mode, 8))
    with _told(directory.path), open_directory(release, directory.path, make=True) as handle:
        before = _owned(handle)
        if before == owned:
            return
        known = release.record.directories
        release.remember(directories={directory.path: before, **known})
        _change(handle, owned)
        release.log.write(f"{directory.path}: {directory.owner} {directory.mode}")


def _owned(handle: int) -> Owned:
    state = os.fstat(handle)
    return Owned(state.st_uid, state.st_gid, state.st_mode & 0o7777)


def _change(handle: int, owned: Owned) -> None:
    present = _owned(handle)
    if (present.uid, present.gid) != (owned.uid, owned.gid):
        os.fchown(handle, owned.uid, owned.gid)
    # Also after a change of owner, which takes setgid away.
    os.fchmod(handle, owned.mode)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What went wrong, as Failure."""
    try:
        yield
    except NotADirectoryError:
        raise Failure(
            f"directories: {path}: something else than a directory is in its place",
            fix="move it away, or name another path",
        ) from None
    except OSError as error:
        raise Failure(f"directories: {path}: {error.strerror}") from None


def _known_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise _unknown("user", name) from None


def _known_group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise _unknown("group", name) from None


def _unknown(kind: str, name: str) -> Failure:
    return Failure(
        f"directories: this host has no {kind} {name}",
        fix="the number that the container runs as always works: owner: 1001:1001",
    )
