"""Directories that are there, with their owner, before anything starts."""

from __future__ import annotations

import grp
import os
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gpuhost.runner.data.safe_paths import opened
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
        with _told(one.path), suppress(FileNotFoundError), opened(release, one.path):
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


def put_back(release: Release) -> None:
    """Each as it was before this release. Raises Failure."""
    for path, before in release.record.directories.items():
        with _told(path), opened(release, path) as handle:
            _change(handle, before)
            release.log.write(f"{path}: {before} again")


def _make(release: Release, directory: Directory, its: Owner) -> None:
    wanted = Owned(its.uid, its.gid, int(directory.mode, 8))
    with _told(directory.path), opened(release, directory.path, make=True) as handle:
        before = _owned(handle)
        if before == wanted:
            return
        known = release.record.directories
        release.remember(directories={directory.path: before, **known})
        _change(handle, wanted)
        release.log.write(f"{directory.path}: {directory.owner} {directory.mode}")


def _owned(handle: int) -> Owned:
    found = os.fstat(handle)
    return Owned(found.st_uid, found.st_gid, found.st_mode & 0o7777)


def _change(handle: int, wanted: Owned) -> None:
    now = _owned(handle)
    if (now.uid, now.gid) != (wanted.uid, wanted.gid):
        os.fchown(handle, wanted.uid, wanted.gid)
    # Also after a change of owner, which takes setgid away.
    os.fchmod(handle, wanted.mode)


@contextmanager
def _told(path: str) -> Iterator[None]:
    """What went wrong, as Failure."""
    try:
        yield
    except NotADirectoryError:
        raise Failure(
            f"directories: {path}: there is something in its place that is no directory",
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
