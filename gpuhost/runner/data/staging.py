"""Stages a backup beside the app's data while the app runs."""

from __future__ import annotations

import os
from collections.abc import Iterable, Iterator, Mapping
from contextlib import ExitStack, contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.data import directories, postgres, sqlite_copy, tarball
from gpuhost.runner.data.exchange import PRIVATE, Exchange, places
from gpuhost.runner.data.mount_points import require_renamable
from gpuhost.runner.data.room import Room, require_room_in
from gpuhost.runner.data.safe_paths import locate, open_directory, open_parent, open_recorded
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.docker.compose import compose
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import pieces
from gpuhost.runner.lib.sizes import format_size
from gpuhost.runner.plan import Postgres
from gpuhost.runner.state.release import Release

START_S = 120


@dataclass(frozen=True)
class Part:
    """A file of a backup, and where it goes. + inside: its path in a staged directory, or ."""

    item: Item
    exchange: Exchange
    inside: Path

    @property
    def home(self) -> Path:
        """The directory in which its exchange is staged."""
        return Path(self.exchange.staged).parent


def plan(release: Release, backup: Stored, staging: Path, aside: Path) -> tuple[Part, ...]:
    """Where the files of a backup go; nothing is staged yet.

    + staging: a directory for restored data
    + aside: a directory for the present data, later

    Raises Failure, also if a disk has too little room, or OSError.
    """
    directories.make(release)
    trees: dict[Path, Exchange] = {}
    parts = []
    located = {item: locate(release, item.name) for item in _files(backup)}
    for number, (item, path) in enumerate(located.items(), start=1):
        tree = next((tree for tree in trees if tree in path.parents), path)
        if tree == path:
            numbered = staging / str(number), aside / str(number)
            inner = {
                place.relative_to(path): one
                for one, place in located.items()
                if path in place.parents
            }
            trees[path] = _exchange_of(release, backup.home, item, inner, *numbered)
        parts.append(Part(item, trees[tree], path.relative_to(tree)))
    _require_space(release, parts)
    return tuple(parts)


def stage(release: Release, backup: Stored, parts: Iterable[Part]) -> None:
    """Unpack files, and restore databases beside those in use. Raises Failure or OSError."""
    for part in parts:
        source = backup.home / part.item.file
        if part.inside.parts:
            with _open_inside(release, part.exchange, part.inside) as directory:
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
            _require_room_of(server, item)
            release.log.write(f"{item.name}: restoring into a database beside it")
            filled.append(server)
            server.fill_beside(backup.home / item.file, limit(release))
    except Failure:
        for server in filled:
            with suppress(Failure):
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


def _files(backup: Stored) -> list[Item]:
    """Directories first: a database inside one is copied into it."""
    order = {"path": 0, "sqlite": 1}
    return sorted(
        (item for item in backup.manifest.items if item.kind in order),
        key=lambda item: order[item.kind],
    )


def _exchange_of(
    release: Release,
    home: Path,
    item: Item,
    databases: Mapping[Path, Item],
    staging: Path,
    aside: Path,
) -> Exchange:
    its_parent = str(locate(release, item.name).parent)
    with open_directory(release, its_parent, make=True), open_parent(release, item.name) as opened:
        parent, name = opened
        require_renamable(parent, name, item, home, databases)
        place = places(release.app, parent, staging, aside)
        target, is_database = str(parent.path / name), item.kind == "sqlite"
        exchange = Exchange(target, str(place.staging / name), str(place.aside), is_database)
    # Not of this restore: its state could not be read, and it may be the only copy.
    if damaged := exchange.set_staged_aside(release.app, f"{place.staging}.damaged"):
        release.log.write(f"{damaged} is of a restore whose state could not be read")
    return exchange


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
        tarball.unpack(source, above.within / part.home.name)
        (unpacked,) = directory.names()
        if unpacked != name:
            # Its link led to another directory then.
            directory.rename(unpacked, directory, name)


def _copy(source: Path, item: Item, into: DirectoryHandle, name: str) -> None:
    with source.open("rb") as saved, into.create(name) as file:
        for piece in pieces(saved):
            require_room_in(into)
            file.write(piece)
        os.fchown(file.fileno(), item.uid, item.gid)
        os.fchmod(file.fileno(), item.mode)
        file.flush()
        abort.in_background(lambda: os.fsync(file.fileno()))


@contextmanager
def _open_inside(release: Release, tree: Exchange, relative: Path) -> Iterator[DirectoryHandle]:
    """The staged directory of a database. Raises Failure if a link leads outside."""
    staged = Path(tree.staged)
    with ExitStack() as stack:
        handle = stack.enter_context(open_recorded(release.app, staged.parent))
        for name in (staged.name, *relative.parts[:-1]):
            try:
                handle = stack.enter_context(handle.enter(name))
            except (FileNotFoundError, NotADirectoryError):
                raise Failure(
                    f"the backup has no directory {relative.parent} for {relative.name}"
                ) from None
        yield handle


def _require_space(release: Release, parts: Iterable[Part]) -> None:
    """On each disk; an archive of many small files needs more, which is seen while unpacking."""
    needs: dict[int, int] = {}
    found: dict[int, tuple[Path, Room]] = {}
    for part in parts:
        with open_recorded(release.app, part.home.parent, make=True, mode=PRIVATE) as above:
            disk = above.state().st_dev
            needs[disk] = needs.get(disk, 0) + part.item.unpacked
            found[disk] = above.path, Room.of(above)
    for disk, (path, room) in found.items():
        _require_free(room, needs[disk], str(path))


def _require_room_of(server: postgres.Server, item: Item) -> None:
    if room := server.room():
        _require_free(room, item.unpacked, f"the data of {server.name}")


def _require_free(room: Room, need: int, where: str) -> None:
    if room.free < need + room.reserve:
        raise Failure(
            f"not enough disk space to restore: {format_size(need)} needed, "
            f"{format_size(room.free)} free on the disk of {where}, of which "
            f"{format_size(room.reserve)} are left to the app",
            fix="free disk space first: the present data is kept until the app is verified",
        )


def limit(release: Release) -> float:
    return float(release.plan.backup.limit_s if release.plan.backup else 1800)
