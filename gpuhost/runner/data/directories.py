"""Creates the declared directories with their owners and modes."""

from __future__ import annotations

import grp
import os
import posixpath
import pwd
from collections.abc import Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass

from gpuhost.runner.data.safe_paths import open_directory, require_allowed
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure, failure_of
from gpuhost.runner.plan import Directory
from gpuhost.runner.state.release import Owned, Release


@dataclass(frozen=True)
class Owner:
    uid: int
    gid: int


def owner(text: str) -> Owner:
    """ "1001:1001", "www-data:adm", "www-data", "1001": numbers or names.

    Without a group: the user's own group, or the user's number if the host does not know it.

    Raises Failure for an unknown name.
    """
    user, _, group = text.partition(":")
    uid = int(user) if user.isdecimal() else _find_user(user).pw_uid
    if group:
        return Owner(uid, int(group) if group.isdecimal() else _find_group(group))
    try:
        return Owner(uid, pwd.getpwuid(uid).pw_gid)
    except KeyError:
        return Owner(uid, uid)


def check(release: Release) -> None:
    """Check owners and paths, without a change. Raises Failure."""
    require_allowed(release, *_named(release))
    for directory in release.plan.directories:
        owner(directory.owner)
        path = directory.path
        with _as_failure(path), suppress(FileNotFoundError), open_directory(release, path):
            continue


def make(release: Release) -> None:
    """Create shared/ and the declared directories; their content is not changed.

    The record of the release keeps their previous owners and modes.

    Raises Failure for an unknown owner, before any change.
    """
    owners = [owner(directory.owner) for directory in release.plan.directories]
    release.app.shared.mkdir(parents=True, exist_ok=True)
    # Parents first.
    for directory, its_owner in sorted(
        zip(release.plan.directories, owners, strict=True), key=lambda pair: pair[0].path
    ):
        try:
            require_allowed(release, directory.path)
        except Failure as failure:
            # Of an older gpuhost's plan, which is activated again: `check` refuses new ones.
            release.log.write(f"warning: owner and mode are not changed: {failure.said}")
        else:
            _make(release, directory, its_owner)


def restore_owners(release: Release) -> None:
    """Restore owner and mode of each directory. Raises Failure."""
    for path, before in release.record.directories.items():
        with _as_failure(path), open_directory(release, path) as handle:
            _change(handle, before)
            release.log.write(f"{path}: restored to {before}")


def _named(release: Release) -> Iterator[str]:
    """Every path of the host that the plan names, where the app's data is."""
    plan = release.plan
    yield from (directory.path for directory in plan.directories)
    yield from (secret.path for secret in plan.secrets if secret.path)
    yield from (*plan.backup.sqlite, *plan.backup.paths) if plan.backup else ()
    yield from (posixpath.dirname(pattern) or "." for pattern in plan.logs.files)
    if plan.nginx and plan.nginx.where == "container":
        yield from filter(None, (plan.nginx.path, plan.nginx.certificate_dir))


def _make(release: Release, directory: Directory, owner: Owner) -> None:
    owned = Owned(owner.uid, owner.gid, int(directory.mode, 8))
    with _as_failure(directory.path), open_directory(release, directory.path, make=True) as handle:
        before = _owned(handle)
        if before == owned:
            return
        known = release.record.directories
        release.remember(directories={directory.path: before, **known})
        _change(handle, owned)
        release.log.write(f"{directory.path}: {directory.owner} {directory.mode}")


def _owned(handle: DirectoryHandle) -> Owned:
    state = handle.state()
    return Owned(state.st_uid, state.st_gid, state.st_mode & 0o7777)


def _change(handle: DirectoryHandle, owned: Owned) -> None:
    present = _owned(handle)
    if (present.uid, present.gid) != (owned.uid, owned.gid):
        os.fchown(handle.number, owned.uid, owned.gid)
    # Always: a change of owner clears setgid.
    os.fchmod(handle.number, owned.mode)


@contextmanager
def _as_failure(path: str) -> Iterator[None]:
    """Turn an OSError into Failure."""
    try:
        yield
    except NotADirectoryError:
        raise Failure(
            f"directories: {path} is not a directory",
            fix="move it away, or declare another path",
        ) from None
    except OSError as error:
        raise failure_of(error, f"directories: {path}") from error


def _find_user(name: str) -> pwd.struct_passwd:
    try:
        return pwd.getpwnam(name)
    except KeyError:
        raise _unknown("user", name) from None


def _find_group(name: str) -> int:
    try:
        return grp.getgrnam(name).gr_gid
    except KeyError:
        raise _unknown("group", name) from None


def _unknown(kind: str, name: str) -> Failure:
    return Failure(
        f"directories: this host has no {kind} {name}",
        fix="use the numbers that the container runs as, for example owner: 1001:1001",
    )
