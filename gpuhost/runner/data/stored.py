"""The backups on a host: one directory each, complete once it has its name.

Their order is that of their numbers: a clock that was ahead or behind changes no order. Backups of
an earlier version have none; they are older than all others, by the times in their names.
"""

from __future__ import annotations

import hashlib
import os
import re
import shutil
import time
from collections.abc import Iterable
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract import CLOCK_S, NOT_THERE, AppPaths, from_json
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import (
    clear,
    load_json,
    make_directory,
    pieces,
    sync_directory,
    write_json,
)
from gpuhost.runner.lib.room import RESERVE as RESERVE

# YYYYMMDD-HHMMSS-REASON. Data that a restore moved aside has other names, and is never removed.
NAME = re.compile(r"^(\d{8}-\d{6})-[a-z-]+(?:\.(\d+))?$")
# One that is being made or deleted.
PARTIAL = re.compile(r"^\.\d{8}-\d{6}-[a-z-]+(\.\d+)?\.partial$")
# Written last: a backup without it is incomplete.
MANIFEST = "manifest.json"
FREE_SPACE = "free disk space, or keep fewer backups (backup.keep)"


@dataclass(frozen=True)
class Item:
    """A part of a backup."""

    kind: str  # "sqlite" | "path" | "postgres"
    name: str  # a path as in the app file, or SERVICE/DATABASE
    file: str  # in the backup's directory
    bytes: int
    sha256: str
    unpacked: int  # bytes, when restored
    # sqlite: the file's owner, mode and extended attributes.
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    xattrs: tuple[tuple[str, str], ...] = ()  # with ACLs; names and values in hexadecimal digits
    # postgres
    service: str = ""
    database: str = ""
    user: str = ""
    verified: str = ""  # how its file was verified after it was written; "": it was not


@dataclass(frozen=True)
class Manifest:
    """The content of a backup."""

    app: str
    release: str  # the id of the current one
    reason: str
    taken: float  # epoch seconds, for people
    items: tuple[Item, ...]
    sequence: int = 0  # 1, 2, …; 0: made by an earlier version


@dataclass(frozen=True)
class Stored:
    home: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.home.name

    @property
    def is_whole(self) -> bool:
        """Whether its files have their sizes; `require_intact` compares their content."""
        return not any(self._is_damaged(item) for item in self.manifest.items)

    def _is_damaged(self, item: Item) -> bool:
        try:
            return (self.home / item.file).lstat().st_size != item.bytes
        except OSError:
            return True

    @property
    def order(self) -> tuple[int, str, int, str]:
        """Of which the probe of a host has a copy: snapshot/apps_on_host.py."""
        match = NAME.match(self.name)
        moment, number = match.groups() if match else ("", None)
        return (max(0, self.manifest.sequence), moment, int(number or 1), self.name)


def complete(app: AppPaths) -> list[Stored]:
    """Every complete backup, the oldest first."""
    return in_order(map(read, homes(app)))


def in_order(backups: Iterable[Stored | None]) -> list[Stored]:
    """+ backups: None: its manifest cannot be read"""
    return sorted(filter(None, backups), key=lambda backup: backup.order)


def find(app: AppPaths, name: str) -> Stored:
    """Raises Failure with the existing names."""
    backups = {stored.name: stored for stored in complete(app)}
    if name not in backups:
        known = ", ".join(reversed(backups)) or "none"
        raise Failure(f"{app.home.name} has no backup {name!r}; existing ones: {known}")
    return backups[name]


def require_intact(stored: Stored) -> None:
    """Raises Failure if a file differs from the manifest."""
    for item in stored.manifest.items:
        path = stored.home / item.file
        if not path.is_file() or path.stat().st_size != item.bytes or sha256(path) != item.sha256:
            raise Failure(
                f"backup {stored.name}: {item.file} is damaged or missing",
                fix="use another backup",
            )


def from_the_future(backups: list[Stored]) -> list[Stored]:
    """Those with a later time than now: the clock was ahead, or is behind."""
    return [backup for backup in backups if backup.manifest.taken > time.time() + CLOCK_S]


def begin(app: AppPaths, reason: str) -> Path:
    """Create the directory of a new backup (0700), and delete partial ones."""
    make_directory(app.backups, 0o700)
    for path in app.backups.iterdir():
        if PARTIAL.match(path.name):
            clear(path)
    draft = partial(app.backups / f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{reason}")
    draft.mkdir(mode=0o700)
    return draft


def finish(app: AppPaths, draft: Path, manifest: Manifest) -> Path:
    """Give a backup its number, its manifest and its name. Raises OSError."""
    write_json(draft / MANIFEST, {**asdict(manifest), "sequence": _next(app)}, mode=0o600)
    name = draft.name[1 : -len(".partial")]
    home, number = app.backups / name, 1
    while home.exists():
        number += 1
        home = app.backups / f"{name}.{number}"
    draft.rename(home)
    sync_directory(app.backups)
    return home


def _next(app: AppPaths) -> int:
    newest = unread = 0
    for home in homes(app):
        try:
            backup = _read(home)
        except OSError:
            # It may have the newest number.
            unread += 1
        else:
            newest = max(newest, backup.manifest.sequence if backup else 0)
    return newest + unread + 1


def partial(home: Path) -> Path:
    """Where a backup is while it is made or deleted."""
    return home.with_name(f".{home.name}.partial")


def room(path: Path) -> int:
    """Bytes that a file may still get."""
    return shutil.disk_usage(path.parent).free - RESERVE // 2


def require_room(path: Path, need: int = 1) -> None:
    """While a file is written: an app can make data faster than it is saved. Raises Failure."""
    if room(path) < need:
        raise Failure(
            f"the disk of {path.parent.parent} is nearly full: the backup was ended",
            fix=FREE_SPACE,
        )


def settle(path: Path) -> None:
    """Write a file to the disk, so that the next read is from there. Raises Failure or OSError."""
    with path.open("rb") as file:
        abort.in_background(lambda: os.fsync(file.fileno()))
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)


def sha256(path: Path, deadline: float = float("inf")) -> str:
    """+ deadline: a time.monotonic(). Raises Failure or OSError."""
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for piece in pieces(file):
            digest.update(piece)
            if time.monotonic() > deadline:
                raise Failure(f"{path.name} was not verified within backup.limit_s")
    return digest.hexdigest()


def homes(app: AppPaths) -> list[Path]:
    if not app.backups.is_dir():
        return []
    return [path for path in app.backups.iterdir() if path.is_dir() and NAME.match(path.name)]


def read(home: Path) -> Stored | None:
    """None: it has no manifest, or one that cannot be read."""
    try:
        return _read(home)
    except OSError:
        return None


def _read(home: Path) -> Stored | None:
    """None: it has no manifest, or a damaged one. Raises OSError."""
    try:
        manifest = from_json(Manifest, load_json(home / MANIFEST))
        if any(item.file != Path(item.file).name for item in manifest.items):
            return None
        return Stored(home, manifest)
    except (*NOT_THERE, ValueError, TypeError):
        return None
