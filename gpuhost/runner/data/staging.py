"""Stages a backup beside the app's data while the app runs."""

from __future__ import annotations

import os
import shutil
from collections.abc import Iterator
from pathlib import Path

from gpuhost.runner.data import directories, postgres, tarball
from gpuhost.runner.data.exchange import Exchange, clear, places
from gpuhost.runner.data.safe_paths import locate, open_directory, resolve
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.docker.compose import compose
from gpuhost.runner.lib.failure import Failure
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
    trees: dict[Path, Path] = {}
    exchanges = []
    for number, item in enumerate(_files(backup), start=1):
        path = locate(release, item.name)
        parent = next((tree for tree in trees if tree in path.parents), None)
        if parent is not None:
            _copy(backup, item, _inside(trees[parent], path.relative_to(parent)))
            continue
        exchange = _stage_item(release, backup, item, staging / str(number), aside / f"{number}")
        trees[path] = Path(exchange.staged)
        exchanges.append(exchange)
    for item, server in servers(release, backup):
        release.log.write(f"{item.name}: restoring into a database beside it")
        server.fill_beside(backup.home / item.file, limit(release))
    return tuple(exchanges)


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
    parent = str(locate(release, item.name).parent)
    with open_directory(release, parent, make=True):
        target = resolve(release, item.name)
    place = places(target, staging, aside)
    clear(place.staging)
    place.staging.mkdir(mode=0o700)
    if item.kind == "path":
        tarball.unpack(backup.home / item.file, place.staging)
        staged = next(place.staging.iterdir())
    else:
        staged = place.staging / target.name
        _copy(backup, item, staged)
    release.log.write(f"{item.name}: staged")
    return Exchange(str(target), str(staged), str(place.aside), item.kind == "sqlite")


def _copy(backup: Stored, item: Item, target: Path) -> None:
    with (backup.home / item.file).open("rb") as source, target.open("xb") as file:
        os.fchmod(file.fileno(), 0o600)
        shutil.copyfileobj(source, file)
        os.fchown(file.fileno(), item.uid, item.gid)
        os.fchmod(file.fileno(), item.mode)
        file.flush()
        os.fsync(file.fileno())


def _inside(tree: Path, relative: Path) -> Path:
    """Raises Failure if a link leads outside."""
    directory = tree
    for part in relative.parts[:-1]:
        directory /= part
        if directory.is_symlink() or not directory.is_dir():
            raise Failure(f"the backup has no directory {relative.parent} for {relative.name}")
    return directory / relative.name


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
