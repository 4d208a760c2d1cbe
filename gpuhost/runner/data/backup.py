"""Backups: before each migration, and scheduled.

backups/YYYYMMDD-HHMMSS-REASON/ (0700) holds one file for each thing that was saved, and a manifest
that is written last.
"""

from __future__ import annotations

import re
import shutil
import time
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import postgres, sqlite_copy, stored, tarball
from gpuhost.runner.data.safe_paths import locate, resolve
from gpuhost.runner.data.stored import Item, Manifest
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Backup, BadPlan, Postgres
from gpuhost.runner.state.lock import Locked, lock
from gpuhost.runner.state.operations import unfinished
from gpuhost.runner.state.release import Release

# Left free on the disk, whatever a backup takes: a full one would stop the app.
RESERVE = 256 << 20
PAUSE = 5.0


@dataclass(frozen=True)
class Part:
    """Something that is there to be saved."""

    name: str
    need: int  # bytes, at most
    ending: str
    # To this file, before this time.monotonic().
    save: Callable[[Path, float], Item]


def before_migration(release: Release) -> None:
    """The stage of a release: a backup if a migration follows. Raises Failure."""
    plan, log = release.plan, release.log
    if plan.migrate is None:
        log.write("no migration, so no backup")
        return
    if plan.backup is None:
        log.write("no backup is declared")
        return
    if release.record.backup and release.record.backup in _names(release.app):
        log.write(f"already taken: {release.record.backup}")
        return
    name = backup(release, "release")
    release.remember(backup=name, nothing_to_back_up=not name)


def run_scheduled(app: AppPaths, reason: str = "schedule") -> str:
    """A backup of the app as it runs, once nothing is under way or cut off; its name.

    Raises Failure, or Locked after plan.backup.limit_s.
    """
    if not app.current.exists():
        raise Failure(f"{app.home.name} has no verified release: there is nothing to back up")
    app.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    path = app.backups / "last.log"
    path.unlink(missing_ok=True)
    log = Log(path)
    release = Release.open(app, app.current.resolve().name, log)
    declared = release.plan.backup
    if declared is None:
        raise Failure(f"{app.home.name} declares no backup", fix="x-gpuhost: backup")
    return _when_free(app, log, declared.limit_s, reason)


def backup(release: Release, reason: str) -> str:
    """Save what the release declares; the backup's name, "" if nothing of it is there yet.

    + reason: part of its name: letters and "-"

    Raises Failure, and leaves nothing half done.
    """
    declared = release.plan.backup
    assert declared is not None
    parts = list(_parts(release, declared))
    if not parts:
        release.log.write("nothing to back up yet")
        return ""
    _require_space(release.app, parts)
    home = stored.begin(release.app, reason)
    deadline = time.monotonic() + declared.limit_s
    try:
        items = tuple(
            _save(part, home, number, deadline) for number, part in enumerate(parts, start=1)
        )
        manifest = Manifest(release.plan.app, _running(release), reason, time.time(), items)
        stored.finish(home, manifest)
    except BaseException as error:
        shutil.rmtree(home, ignore_errors=True)
        if isinstance(error, OSError):
            raise Failure(f"backup: {error.filename or ''} {error.strerror}") from error
        raise
    total = sum(item.bytes for item in items) / 1e6
    release.log.write(f"backup {home.name}: {len(items)} items, {total:.1f} MB, in {home}")
    stored.prune(release.app, declared.keep, release.log)
    return home.name


def _when_free(app: AppPaths, log: Log, seconds: float, reason: str) -> str:
    """A release that is under way now may be another one when it has ended."""
    deadline = time.monotonic() + seconds
    while True:
        try:
            with _at_rest(app):
                return backup(Release.open(app, app.current.resolve().name, log), reason)
        except Locked as other:
            if time.monotonic() > deadline:
                log.write(f"no backup was made: still under way: {other}")
                raise
        time.sleep(PAUSE)


@contextmanager
def _at_rest(app: AppPaths) -> Iterator[None]:
    """What was cut off is resumed soon, by a runner that must find the lock free.

    Raises Locked.
    """
    _require_rest(app)
    with lock(app):
        _require_rest(app)
        yield


def _require_rest(app: AppPaths) -> None:
    if operation := unfinished(app):
        raise Locked(operation)
    if app.restoring.exists():
        # The data is half exchanged.
        raise Locked(None, "a restore; restore the same backup again to finish or undo it")


def _parts(release: Release, declared: Backup) -> Iterator[Part]:
    """What is there. What is not, though a verified release declared it, is a Failure."""
    expected = _previously_declared(release)
    databases = [_resolve(release, path, path in expected.sqlite) for path in declared.sqlite]
    for path, source in zip(declared.sqlite, databases, strict=True):
        if source is not None:
            yield _sqlite_part(path, source)
    without = frozenset(
        file for source in databases if source for file in sqlite_copy.files_of(source)
    )
    for path in outermost(release, declared.paths):
        source = _resolve(release, path, path in expected.paths)
        if source is not None:
            yield _path_part(release, path, source, without)
    for database in declared.postgres:
        part = _postgres_part(release, database, expected=database in expected.postgres)
        if part is not None:
            yield part


def outermost(release: Release, paths: tuple[str, ...]) -> list[str]:
    """Paths that are not in one of the others."""
    places = {path: locate(release, path) for path in paths}
    return [
        path
        for path, place in places.items()
        if not any(other in place.parents for other in places.values())
    ]


def _resolve(release: Release, path: str, expected: bool) -> Path | None:
    try:
        real = resolve(release, path)
    except (FileNotFoundError, NotADirectoryError):
        real = None
    if real is not None and real.exists():
        return real
    if expected:
        raise _gone(path)
    release.log.write(f"{path}: does not exist yet")
    return None


def _sqlite_part(path: str, source: Path) -> Part:
    if not source.is_file():
        raise Failure(f"backup.sqlite: {path} is not a file")

    def save(target: Path, deadline: float) -> Item:
        its = source.stat()
        sqlite_copy.copy(source, target, deadline=deadline, name=path)
        return _item(
            "sqlite",
            path,
            target,
            unpacked=target.stat().st_size,
            owner=(its.st_uid, its.st_gid, its.st_mode & 0o777),
        )

    need = sum(file.stat().st_size for file in sqlite_copy.files_of(source) if file.exists())
    return Part(path, need, ".sqlite", save)


def _path_part(release: Release, path: str, source: Path, without: frozenset[Path]) -> Part:
    def save(target: Path, deadline: float) -> Item:
        packed = tarball.pack(source, target, release.log, without=without, deadline=deadline)
        return _item("path", path, target, unpacked=packed)

    return Part(path, tarball.size(source, without), ".tar.gz", save)


def _postgres_part(release: Release, declared: Postgres, *, expected: bool) -> Part | None:
    name = f"{declared.service}/{declared.database}"
    server = postgres.server(release.log, release.plan.project, declared)
    if server is None:
        if expected:
            raise _gone(name)
        release.log.write(f"{name}: does not exist yet")
        return None

    def save(target: Path, deadline: float) -> Item:
        unpacked = server.bytes()
        server.dump(target, max(1.0, deadline - time.monotonic()))
        return _item("postgres", name, target, unpacked=unpacked, database=declared)

    return Part(name, _estimate_dump(release.app, name, server), ".dump", save)


def _estimate_dump(app: AppPaths, name: str, server: postgres.Server) -> int:
    """A dump is compressed: the last one tells more than the database's own size."""
    for one in reversed(stored.complete(app)):
        for item in one.manifest.items:
            if item.name == name:
                return item.bytes + item.bytes // 2
    return server.bytes()


def _item(
    kind: str,
    name: str,
    target: Path,
    *,
    unpacked: int,
    owner: tuple[int, int, int] = (0, 0, 0o600),
    database: Postgres | None = None,
) -> Item:
    return Item(
        kind,
        name,
        target.name,
        target.stat().st_size,
        stored.sha256(target),
        unpacked,
        *owner,
        service=database.service if database else "",
        database=database.database if database else "",
        user=database.user if database else "",
    )


def _save(part: Part, home: Path, number: int, deadline: float) -> Item:
    plain = re.sub(r"[^A-Za-z0-9.-]+", "_", part.name).strip("_.")[:60]
    return part.save(home / f"{number}-{plain}{part.ending}", deadline)


def _require_space(app: AppPaths, parts: list[Part]) -> None:
    app.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    need = sum(part.need for part in parts) + RESERVE
    free = shutil.disk_usage(app.backups).free
    if free < need:
        raise Failure(
            f"not enough disk space for a backup: {need / 1e9:.1f} GB are needed, "
            f"{free / 1e9:.1f} GB are free on the disk of {app.backups}",
            fix="free some space, or keep fewer backups (backup.keep)",
        )


def _previously_declared(release: Release) -> Backup:
    """What the verified release that runs declares: by now it has to be there."""
    app = release.app
    if not app.current.exists():
        return Backup()
    try:
        return Release.open(app, _running(release), release.log).plan.backup or Backup()
    except BadPlan as error:
        release.log.write(f"warning: the previous release's backups are not known: {error}")
        return Backup()


def _running(release: Release) -> str:
    current = release.app.current
    return current.resolve().name if current.exists() else ""


def _gone(name: str) -> Failure:
    return Failure(
        f"{name} does not exist, but the running release declares it for its backups",
        fix="correct x-gpuhost backup in the app file, or find out why it is gone",
    )


def _names(app: AppPaths) -> set[str]:
    return {one.name for one in stored.complete(app)}
