"""The backups on a host: one directory each, complete once its manifest is written."""

from __future__ import annotations

import hashlib
import json
import os
import re
import shutil
import time
from dataclasses import asdict, dataclass
from pathlib import Path

from gpuhost.runner.contract import AppPaths, from_json
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import read_json, write_json
from gpuhost.runner.lib.log import Log

# YYYYMMDD-HHMMSS-REASON. Data that a restore moved aside has other names, and is never removed.
NAME = re.compile(r"^\d{8}-\d{6}-[a-z-]+(\.\d+)?$")
# Written last: a backup without it is incomplete.
MANIFEST = "manifest.json"
PIECE = 1 << 20


@dataclass(frozen=True)
class Item:
    """A part of a backup."""

    kind: str  # "sqlite" | "path" | "postgres"
    name: str  # a path as in the app file, or SERVICE/DATABASE
    file: str  # in the backup's directory
    bytes: int
    sha256: str
    unpacked: int  # bytes, when restored
    # sqlite: the file's owner and mode.
    uid: int = 0
    gid: int = 0
    mode: int = 0o600
    # postgres
    service: str = ""
    database: str = ""
    user: str = ""


@dataclass(frozen=True)
class Manifest:
    """The content of a backup."""

    app: str
    release: str  # the id of the current one
    reason: str
    taken: float  # epoch seconds
    items: tuple[Item, ...]


@dataclass(frozen=True)
class Stored:
    home: Path
    manifest: Manifest

    @property
    def name(self) -> str:
        return self.home.name


def complete(app: AppPaths) -> list[Stored]:
    """Every complete backup, the oldest first."""
    return [backup for home in sorted(_homes(app)) if (backup := _read(home))]


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


def begin(app: AppPaths, reason: str) -> Path:
    """Create the directory of a new backup (0700), and delete incomplete backups."""
    app.backups.mkdir(mode=0o700, parents=True, exist_ok=True)
    for home in _homes(app):
        if not (home / MANIFEST).exists():
            shutil.rmtree(home)
    name = f"{time.strftime('%Y%m%d-%H%M%S', time.gmtime())}-{reason}"
    number = 1
    while True:
        home = app.backups / (name if number == 1 else f"{name}.{number}")
        try:
            home.mkdir(mode=0o700)
            return home
        except FileExistsError:
            number += 1


def finish(home: Path, manifest: Manifest) -> None:
    for item in manifest.items:
        _sync(home / item.file)
    write_json(home / MANIFEST, asdict(manifest), mode=0o600)


def prune(app: AppPaths, keep: int, log: Log) -> None:
    """Delete old backups, except those that a release or an unfinished restore refers to."""
    needed = _referred_to(app)
    for stored in complete(app)[:-keep]:
        if stored.name not in needed:
            # The manifest first: a partly deleted backup must not look complete.
            (stored.home / MANIFEST).unlink()
            shutil.rmtree(stored.home)
            log.write(f"old backup removed: {stored.name}")
    for home in _homes(app):
        if _read(home) is None:
            log.write(f"backup {home.name}: its manifest cannot be read; it is kept")


def sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        while piece := file.read(PIECE):
            digest.update(piece)
    return digest.hexdigest()


def _homes(app: AppPaths) -> list[Path]:
    if not app.backups.is_dir():
        return []
    return [path for path in app.backups.iterdir() if path.is_dir() and NAME.match(path.name)]


def _read(home: Path) -> Stored | None:
    try:
        value = json.loads((home / MANIFEST).read_text(encoding="utf-8"))
        return Stored(home, from_json(Manifest, value))
    except (OSError, ValueError, TypeError, AttributeError):
        return None


def _referred_to(app: AppPaths) -> set[str]:
    files = (*app.releases.glob("*/result.json"), *app.releases.glob("*/record.json"))
    return {str(read_json(path).get("backup", "")) for path in (app.restoring, *files)}


def _sync(path: Path) -> None:
    handle = os.open(path, os.O_RDONLY)
    try:
        os.fsync(handle)
    finally:
        os.close(handle)
