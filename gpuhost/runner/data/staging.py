"""Stages a backup beside the app's data while the app runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from pathlib import Path

from gpuhost.runner.data import directories, postgres, tarball
from gpuhost.runner.data.exchange import PRIVATE, Exchange, places
from gpuhost.runner.data.safe_paths import locate, open_directory, open_parent, open_recorded
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.docker.compose import compose
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import clear, pieces
from gpuhost.runner.lib.sizes import format_size
from gpuhost.runner.plan import Postgres
from gpuhost.runner.state.release import Release

# Bytes that a restore leaves free.
RESERVE = 256 << 20
ENGINE = Path("/var/lib/docker")
START_S = 120


def stage(release: Release, backup: Stored, staging: Path, aside: Path) -> tuple[Exchange, ...]:
    """Unpack files, and restore databases beside those in use. Returns the exchanges to do.

    + staging: a directory, emptied first
    + aside: a directory for the present data, later

    Raises Failure or OSError.
    """
    clear(staging)
    staging.mkdir(mode=0o700)
    _require_space(backup, staging)
    directories.make(release)
    trees: dict[Path, Exchange] = {}
    for number, item in enumerate(_files(backup), start=1):
        path = locate(release, item.name)
        tree = next((tree for tree in trees if tree in path.parents), None)
        if tree is not None:
            with _open_inside(release, trees[tree], path.relative_to(tree)) as directory:
                _copy(backup, item, directory, path.name)
            continue
        place = staging / str(number)
        trees[path] = _stage_item(release, backup, item, place, aside / f"{number}")
    for item, server in servers(release, backup):
        release.log.write(f"{item.name}: restoring into a database beside it")
        server.fill_beside(backup.home / item.file, limit(release))
    return tuple(trees.values())


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


def _stage_item(
    release: Release, backup: Stored, item: Item, staging: Path, aside: Path
) -> Exchange:
    its_parent = str(locate(release, item.name).parent)
    with open_directory(release, its_parent, make=True), open_parent(release, item.name) as opened:
        parent, name = opened
        target = parent.path / name
        place = places(release.app, parent, name, staging, aside)
    is_database = item.kind == "sqlite"
    exchange = Exchange(str(target), str(place.staging / name), str(place.aside), is_database)
    exchange.clear_staged(release.app)
    with (
        open_recorded(release.app, place.staging.parent) as above,
        above.make(place.staging.name, PRIVATE) as directory,
    ):
        if is_database:
            _copy(backup, item, directory, name)
        else:
            tarball.unpack(backup.home / item.file, above.within / place.staging.name)
            unpacked = directory.names()[0]
            exchange = replace(exchange, staged=str(place.staging / unpacked))
    release.log.write(f"{item.name}: staged")
    return exchange


def _copy(backup: Stored, item: Item, into: DirectoryHandle, name: str) -> None:
    with (backup.home / item.file).open("rb") as source, into.create(name) as file:
        file.writelines(pieces(source))
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


def _require_space(backup: Stored, staging: Path) -> None:
    items = backup.manifest.items
    needs = {
        staging: sum(item.unpacked for item in items if item.kind != "postgres"),
        ENGINE: sum(item.unpacked for item in items if item.kind == "postgres"),
    }
    for path, need in needs.items():
        if not need or not path.exists():
            continue
        free = shutil.disk_usage(path).free
        if free < need + RESERVE:
            raise Failure(
                f"not enough disk space to restore: {format_size(need)} needed, "
                f"{format_size(free)} free on the disk of {path}",
                fix="free disk space first: the present data is kept until the app is verified",
            )


def limit(release: Release) -> float:
    return float(release.plan.backup.limit_s if release.plan.backup else 1800)
