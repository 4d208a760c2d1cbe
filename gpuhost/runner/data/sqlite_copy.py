"""SQLite databases, copied by SQLite itself while the app keeps writing."""

from __future__ import annotations

import os
import sqlite3
import time
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

from gpuhost.runner.lib.failure import Failure

# Files that SQLite keeps beside a database: with another database they would damage it.
BESIDE = ("-wal", "-shm", "-journal")
PAGES = 2048
# How long a writer may hold the database before the copy begins.
BUSY_S = 60


def copy(source: Path, target: Path, *, deadline: float, name: str) -> None:
    """One consistent state of a database, checked, without any file beside it.

    Writers go on meanwhile where the database is in WAL mode; in the older journal modes their
    commits wait for the copy.

    + deadline: time.monotonic() after which it is given up
    + name: what the app file calls it

    Raises Failure.
    """
    os.close(os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600))
    try:
        with closing(_opened(source)) as old, closing(_opened(target)) as new:
            # A reading transaction: every piece is of the same state, and a busy writer cannot make
            # the copy begin again and again.
            old.execute("BEGIN")
            old.execute("SELECT count(*) FROM sqlite_master").fetchone()
            old.backup(new, pages=PAGES, progress=lambda *_: _in_time(deadline, name))
            old.execute("ROLLBACK")
            _check(new, name)
    except sqlite3.Error as error:
        raise Failure(
            f"SQLite database {name} cannot be copied: {error}",
            fix=f"sqlite3 {source} 'PRAGMA integrity_check' tells more",
        ) from error
    for ending in BESIDE:
        target.with_name(target.name + ending).unlink(missing_ok=True)


def files_of(path: Path) -> tuple[Path, ...]:
    """A database and what SQLite keeps beside it."""
    return (path, *(path.with_name(path.name + ending) for ending in BESIDE))


def _opened(path: Path) -> sqlite3.Connection:
    # rw: a database that went away meanwhile is an error, not a new one.
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
            fix="restore a backup, or repair it with sqlite3's .recover",
        )


def _in_time(deadline: float, name: str) -> None:
    if time.monotonic() > deadline:
        raise Failure(f"SQLite database {name} was not copied in time: backup.limit_s is over")
