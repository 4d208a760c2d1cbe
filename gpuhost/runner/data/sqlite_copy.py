"""Copies SQLite databases with SQLite while the app writes to them."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gpuhost.runner.lib.failure import Failure

# Files that SQLite keeps beside a database; they would damage another one.
BESIDE = ("-wal", "-shm", "-journal")
PAGES = 2048
# How long a writer may hold the database before the copy begins.
BUSY_S = 60


def copy(source: Path, target: Path, *, deadline: float, name: str) -> None:
    """Copy a consistent state of a database into one file, and check it.

    Writers continue if the database is in WAL mode; in older journal modes they wait.

    + deadline: a time.monotonic()
    + name: for messages

    Raises Failure.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_connect(source)) as old, closing(_connect(target)) as new:
            # In a read transaction all pages are of the same state, and a write does not restart
            # the copy.
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            old.backup(new, pages=PAGES, progress=lambda *_: _require_time(deadline, name))
            old.execute("ROLLBACK")
            _check(new, name)
    except sqlite3.Error as error:
        raise Failure(
            f"SQLite database {name} cannot be copied: {error}",
            fix=f"run sqlite3 {source} 'PRAGMA integrity_check': it shows the errors",
        ) from error
    for ending in BESIDE:
        target.with_name(target.name + ending).unlink(missing_ok=True)


def files_of(path: Path) -> tuple[Path, ...]:
    """A database and the files that SQLite keeps beside it."""
    return (path, *(path.with_name(path.name + ending) for ending in BESIDE))


def _connect(path: Path) -> sqlite3.Connection:
    # rw: a missing database is an error, and is not created.
    address = f"file:{quote(str(path))}?mode=rw"
    return sqlite3.connect(address, uri=True, timeout=BUSY_S, isolation_level=None)


def _check(database: sqlite3.Connection, name: str) -> None:
    try:
        problems = [str(row[0]) for row in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
    if problems != ["ok"]:
        raise Failure(
            f"SQLite database {name} is damaged",
            output=tuple(problems),
            fix="restore a backup, or repair it with .recover of sqlite3",
        )


def _require_time(deadline: float, name: str) -> None:
    if time.monotonic() > deadline:
        raise Failure(f"SQLite database {name} was not copied within backup.limit_s")
