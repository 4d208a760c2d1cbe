"""Stages a backup beside the app's data while the app runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator
from contextlib import ExitStack, contextmanager, suppress
from pathlib import Path

from gpuhost.runner.data import postgres, sqlite_copy, tarball
from gpuhost.runner.data.exchange import PRIVATE
from gpuhost.runner.data.restore_plan import Part
from gpuhost.runner.data.room import require_room, require_room_in
from gpuhost.runner.data.safe_paths import open_recorded
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.data.tarball_member import read_xattrs
from gpuhost.runner.docker.compose import compose
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import pieces
from gpuhost.runner.plan import Postgres
from gpuhost.runner.state.release import Release

START_S = 120


def stage(release: Release, backup: Stored, parts: Iterable[Part]) -> None:
    """Unpack files, and restore databases beside those in use. Raises Failure or OSError."""
    for part in parts:
        source = backup.home / part.item.file
        if part.inside.parts:
            with _open_inside(release, part) as directory:
                # Of another moment than the copy, if the app has moved its directory meanwhile.
                for path in sqlite_copy.files_of(part.inside):
                    directory.remove(path.name)
                _copy(source, part.item, directory, part.inside.name)
        else:
            _unpack(release, source, part)
        release.log.write(f"{part.item.name}: staged")
    filled: list[postgres.Server] = []
    try:
        for item, server in servers(release, backup):
            if room := server.room():
                require_room(room, item.unpacked, f"the data of {server.name}")
            release.log.write(f"{item.name}: restoring into a database beside it")
            filled.append(server)
            server.fill_beside(backup.home / item.file, limit(release))
    except Failure:
        for server in filled:
            with abort.cleanup(), suppress(Failure):
                server.drop(server.beside)
        raise


def servers(release: Release, backup: Stored) -> Iterator[tuple[Item, postgres.Server]]:
    """Start the PostgreSQL servers of a backup; each database with its server.

    Raises Failure.
    """
    items = [item for item in backup.manifest.items if item.kind == "postgres"]
    if not items:
        return
    services = sorted({item.service for item in items})
    compose(
        release,
        *("up", "-d", "--no-deps", "--no-build", "--no-recreate"),
        *("--wait", "--wait-timeout", str(START_S)),
        *services,
        what=f"starting {', '.join(services)}",
        seconds=START_S + 60,
    )
    for item in items:
        declared = Postgres(item.service, item.database, item.user)
        server = postgres.find_server(release.log, release.plan.project, declared)
        if server is None:
            raise Failure(f"{item.name}: its container does not exist")
        yield item, server


def _unpack(release: Release, source: Path, part: Part) -> None:
    """Into a directory that does not exist yet."""
    name = Path(part.exchange.staged).name
    with (
        open_recorded(release.app, part.home.parent, make=True, mode=PRIVATE) as above,
        above.make(part.home.name, PRIVATE) as directory,
    ):
        if part.exchange.is_database:
            _copy(source, part.item, directory, name)
            return
        unpacked = tarball.unpack(source, above.within / part.home.name)
        if unpacked != name:
            # Its link led to another directory then.
            directory.rename(unpacked, directory, name)


def _copy(source: Path, item: Item, into: DirectoryHandle, name: str) -> None:
    with source.open("rb") as saved, into.create(name) as file:
        for piece in pieces(saved):
            require_room_in(into)
            file.write(piece)
        os.fchown(file.fileno(), item.uid, item.gid)
        # A default ACL of the directory, which the original does not have, or has as its own.
        for inherited in read_xattrs(file.fileno()):
            if inherited.startswith("system.posix_acl_"):
                os.removexattr(file.fileno(), inherited)
        for key, value in item.xattrs:
            os.setxattr(file.fileno(), bytes.fromhex(key), bytes.fromhex(value))
        os.fchmod(file.fileno(), item.mode)
        file.flush()
        abort.in_background(lambda: os.fsync(file.fileno()))


@contextmanager
def _open_inside(release: Release, part: Part) -> Iterator[DirectoryHandle]:
    """The staged directory of a database. Raises Failure if a link leads outside."""
    staged = Path(part.exchange.staged)
    with ExitStack() as stack:
        handle = stack.enter_context(open_recorded(release.app, staged.parent))
        for name in (staged.name, *part.inside.parts[:-1]):
            try:
                handle = stack.enter_context(_enter_or_make(handle, name, part.item))
            except NotADirectoryError:
                raise Failure(
                    f"the backup has no directory {part.inside.parent} for {part.inside.name}",
                    fix="use another backup",
                ) from None
        yield handle


def _enter_or_make(above: DirectoryHandle, name: str, database: Item) -> DirectoryHandle:
    """The app may have moved it after the copy of its database."""
    with suppress(FileNotFoundError):
        return above.enter(name)
    made = above.make(name)
    os.fchown(made.number, database.uid, database.gid)
    return made


def limit(release: Release) -> float:
    return float(release.plan.backup.limit_s if release.plan.backup else 1800)
