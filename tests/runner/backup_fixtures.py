"""A database of an app, and the files of a backup."""

from __future__ import annotations

import sqlite3
from contextlib import closing
from pathlib import Path

import pytest

from gpuhost.runner.data import stored
from gpuhost.runner.plan import Postgres
from tests.runner.host_fixtures import App

DB = "data/app.db"
DATABASE = Postgres("db", "shop", "ada")


@pytest.fixture
def home(tmp_path: Path) -> Path:
    """With directories for a database and for its copy."""
    (tmp_path / "data").mkdir()
    (tmp_path / "backup").mkdir(mode=0o700)
    return tmp_path


def a_database(path: Path, *, mode: str = "wal", rows: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE pairs (left INTEGER, right INTEGER)")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", ((n, n) for n in range(rows)))


def saved(app: App, name: str) -> dict[str, Path]:
    """The file of each item of a backup, by the item's name."""
    backup = stored.find(app.paths, name)
    return {item.name: backup.home / item.file for item in backup.manifest.items}
