"""What a backup consists of: SQLite databases, files and directories, PostgreSQL databases."""

from __future__ import annotations

import os
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass, replace
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import postgres, sqlite_copy, stored
from gpuhost.runner.data.backup_source import Source, open_existing, open_source
from gpuhost.runner.data.safe_paths import locate
from gpuhost.runner.data.stored import Item
from gpuhost.runner.data.tarball_member import read_xattrs
from gpuhost.runner.data.tarball_pack import pack, size
from gpuhost.runner.data.tarball_read import read_through
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, BadPlan, Postgres
from gpuhost.runner.state.release import Release


@dataclass(frozen=True)
class Part:
    """One thing to back up.

    + need: bytes, at most
    + save: writes it to a file; the second argument is the deadline, a time.monotonic()
    """

    name: str
    need: int
    ending: str
    save: Callable[[Path, float], Item]


def parts(release: Release, declared: Backup, deadline: float) -> Iterator[Part]:
    """The declared things that exist.

    + deadline: a time.monotonic()

    Raises Failure for a missing one that the current release declares too, or OSError.
    """
    expected = _declared_by_current(release)
    databases: set[Path] = set()
    for path in declared.sqlite:
        with open_source(release, path) as source:
            if source is None:
                _require_unexpected(release, path, path in expected.sqlite)
                continue
            databases.update(sqlite_copy.files_of(source.path))
            yield _sqlite_part(release, path, source)
    for path in outermost(release, declared.paths):
        with open_source(release, path) as source:
            if source is None:
                _require_unexpected(release, path, path in expected.paths)
            elif source.path not in databases:
                need = size(source, databases, deadline)
                yield _path_part(release, path, need, frozenset(databases))
    for database in declared.postgres:
        part = _postgres_part(release, database, expected=database in expected.postgres)
        if part is not None:
            yield part


def outermost(release: Release, paths: tuple[str, ...]) -> list[str]:
    """The paths that are not inside another one of them."""
    locations = {path: locate(release, path) for path in paths}
    return [
        path
        for path, location in locations.items()
        if not any(other in location.parents for other in locations.values())
    ]


def _declared_by_current(release: Release) -> Backup:
    try:
        current = Release.open_current(release.app, release.log)
    except BadPlan as error:
        release.log.write(f"warning: cannot read the backups of the previous release: {error}")
        current = None
    return (current.plan.backup if current else None) or Backup()


def _require_unexpected(release: Release, path: str, expected: bool) -> None:
    if expected:
        raise _missing(path)
    release.log.write(f"{path}: does not exist yet")


def _sqlite_part(release: Release, path: str, source: Source) -> Part:
    if not source.file:
        raise Failure(f"backup.sqlite: {path} is not a file")

    def save(target: Path, deadline: float) -> Item:
        with open_existing(release, path) as now:
            state, verified = sqlite_copy.copy(
                *(now.handle, now.file, target), deadline=deadline, name=path, log=release.log
            )
            with now.handle.read(now.file) as file:
                xattrs = read_xattrs(file.fileno())
        item = _item(
            "sqlite",
            path,
            target,
            unpacked=target.stat().st_size,
            sha256=stored.sha256(target, deadline),
            verified=verified,
            owner=(state.st_uid, state.st_gid, state.st_mode & 0o777),
        )
        as_text = ((os.fsencode(key).hex(), value.hex()) for key, value in xattrs.items())
        return replace(item, xattrs=tuple(as_text))

    states = (source.handle.look(file.name) for file in sqlite_copy.files_of(source.path))
    sizes = [state.st_size if state else 0 for state in states]
    # The copy of the -wal file is moved into that of the database.
    return Part(path, sum(sizes) + sizes[1], ".sqlite", save)


def _path_part(release: Release, path: str, need: int, without: frozenset[Path]) -> Part:
    def save(target: Path, deadline: float) -> Item:
        with open_existing(release, path) as now:
            packed = pack(now, target, release.log, without=without, deadline=deadline)
        stored.settle(target)
        if read_through(target, deadline) != packed:
            raise Failure(f"{path}: the archive on the disk is not what was written")
        return _item(
            "path",
            path,
            target,
            unpacked=packed.unpacked,
            sha256=packed.sha256,
            verified=f"{packed.entries} entries read",
        )

    return Part(path, need, ".tar.gz", save)


def _postgres_part(release: Release, declared: Postgres, *, expected: bool) -> Part | None:
    name = f"{declared.service}/{declared.database}"
    server = postgres.find_server(release.log, release.plan.project, declared)
    if server is None:
        if expected:
            raise _missing(name)
        release.log.write(f"{name}: does not exist yet")
        return None

    def save(target: Path, deadline: float) -> Item:
        unpacked = server.bytes()
        server.dump(target, max(1.0, deadline - time.monotonic()))
        return _item(
            "postgres",
            name,
            target,
            unpacked=unpacked,
            sha256=stored.sha256(target, deadline),
            verified="pg_restore",
            database=declared,
        )

    return Part(name, _estimate_dump(release.app, name, server), ".dump", save)


def _estimate_dump(app: AppPaths, name: str, server: postgres.Server) -> int:
    """1.5 times the last dump: a dump is compressed, and much smaller than its database."""
    for backup in reversed(stored.complete(app)):
        for item in backup.manifest.items:
            if item.name == name:
                return item.bytes + item.bytes // 2
    return server.bytes()


def _item(
    kind: str,
    name: str,
    target: Path,
    *,
    unpacked: int,
    sha256: str,
    verified: str,
    owner: tuple[int, int, int] = (0, 0, 0o600),
    database: Postgres | None = None,
) -> Item:
    return Item(
        kind,
        name,
        target.name,
        target.stat().st_size,
        sha256,
        unpacked,
        *owner,
        service=database.service if database else "",
        database=database.database if database else "",
        user=database.user if database else "",
        verified=verified,
    )


def _missing(name: str) -> Failure:
    return Failure(
        f"{name} does not exist, but the current release declares it in its backup",
        fix="find out why it is gone, or correct x-gpuhost.backup in the app file",
    )
