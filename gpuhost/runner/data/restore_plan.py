"""Where the files of a backup are staged and exchanged; of the app's data nothing is moved yet."""

from __future__ import annotations

import os
from collections.abc import Iterable, Mapping
from dataclasses import dataclass
from pathlib import Path

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import directories
from gpuhost.runner.data.exchange import PRIVATE, Exchange, places
from gpuhost.runner.data.mount_points import require_renamable
from gpuhost.runner.data.room import require_room
from gpuhost.runner.data.safe_paths import locate, open_directory, open_parent, open_recorded
from gpuhost.runner.data.stored import Item, Stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import point
from gpuhost.runner.lib.room import Room
from gpuhost.runner.state.release import Release


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
        tree = next((tree for tree in trees if _inside(tree, path)), path)
        if tree == path:
            numbered = staging / str(number), aside / str(number)
            inner = {
                inside: one for one, place in located.items() if (inside := _inside(path, place))
            }
            trees[path] = _exchange_of(release, backup.home, item, inner, *numbered)
        parts.append(Part(item, trees[tree], _inside(tree, path) or Path()))
    _require_space(release, parts)
    return tuple(parts)


def _files(backup: Stored) -> list[Item]:
    """Directories first: a database inside one is copied into it. Raises Failure."""
    order = {"path": 0, "sqlite": 1}
    for item in backup.manifest.items:
        if item.kind not in (*order, "postgres"):
            raise Failure(
                f"{item.name}: this gpuhost cannot restore {item.kind!r}",
                fix="use the gpuhost that made the backup, or a newer one",
            )
    files = (item for item in backup.manifest.items if item.kind in order)
    return sorted(files, key=lambda item: order[item.kind])


def _inside(tree: Path, path: Path) -> Path | None:
    """The path in the tree, also if one of both is declared through a link; None: it is not in it.

    Only names: what is there is opened by handles.
    """
    for one, other in ((tree, path), (Path(os.path.realpath(tree)), Path(os.path.realpath(path)))):
        if one in other.parents:
            return other.relative_to(one)
    return None


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
        refer_to(release.app, aside.parent, damaged)
    return exchange


def refer_to(app: AppPaths, home: Path, place: Path | None) -> None:
    """A link to what is on another disk, in the directory of backups/ that people look into."""
    if place and not place.is_relative_to(app.backups) and os.path.lexists(place):
        home.mkdir(mode=0o700, exist_ok=True)
        point(home / place.name.lstrip("."), str(place))


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
        require_room(room, needs[disk], str(path))
