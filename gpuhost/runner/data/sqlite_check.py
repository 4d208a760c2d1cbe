"""Completes and checks the copy of a SQLite database, in a process of its own.

An app has written the database: a check evaluates the expressions of its indexes, which can need
days and any memory, and cannot be interrupted. So this process has limits, and is killed:
sqlite_copy.py starts it, with the path of the copy and the limits as arguments. It prints JSON:
what is wrong, "error" or "damaged"; {} if nothing is.
"""

from __future__ import annotations

import ctypes
import json
import os
import resource
import sqlite3
import sys
from contextlib import closing
from pathlib import Path
from urllib.parse import quote

# Files that SQLite keeps beside a database; they would damage another one.
BESIDE = ("-wal", "-shm", "-journal")
CLONE_NEWNET = 0x40000000
# Characters of an error of SQLite, which can have names of tables: more than the runner masks.
LONGEST_ERROR = 1 << 17


def main() -> None:
    target, seconds, memory = Path(sys.argv[1]), int(sys.argv[2]), int(sys.argv[3])
    _limit(seconds, memory, _largest(target))
    print(json.dumps(_try(target)))


def complete_and_check(target: Path) -> dict[str, list[str]]:
    """Make one file of a database and those beside it, and check it. Raises sqlite3.Error."""
    with closing(_connect(target, "rw")) as database:
        _complete(database)
    for ending in BESIDE:
        target.with_name(target.name + ending).unlink(missing_ok=True)
    with target.open("rb") as file:
        os.fsync(file.fileno())
        # The check reads what is on the disk.
        os.posix_fadvise(file.fileno(), 0, 0, os.POSIX_FADV_DONTNEED)
    with closing(_connect(target, "ro&immutable=1")) as database:
        return _check(database)


def _largest(target: Path) -> int:
    """Bytes of the complete database: a journal can ask for terabytes."""
    paths = (target, *(target.with_name(target.name + ending) for ending in BESIDE))
    return 10 * sum(path.stat().st_size for path in paths if path.exists()) + (1 << 30)


def _limit(seconds: int, memory: int, file: int) -> None:
    """+ seconds: of CPU, if the runner itself has been killed; memory, file: bytes"""
    resource.setrlimit(resource.RLIMIT_CPU, (seconds, seconds))
    resource.setrlimit(resource.RLIMIT_AS, (memory, memory))
    resource.setrlimit(resource.RLIMIT_FSIZE, (file, file))
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    # Without a network. A container in which gpuhost is tried may not allow it.
    ctypes.CDLL(None).unshare(CLONE_NEWNET)


def _try(target: Path) -> dict[str, list[str]]:
    try:
        return complete_and_check(target)
    except MemoryError:
        return {"error": ["it needs too much memory"]}
    except (sqlite3.Error, OSError) as error:
        return {"error": [_text(error)]}


def _connect(target: Path, mode: str) -> sqlite3.Connection:
    address = f"file:{quote(str(target))}?mode={mode}"
    database = sqlite3.connect(address, uri=True, isolation_level=None)
    # The file is the app's: its functions are not run, and its pages are not trusted.
    database.execute("PRAGMA trusted_schema = OFF")
    database.execute("PRAGMA cell_size_check = ON")
    # No files elsewhere, which have no limit.
    database.execute("PRAGMA temp_store = MEMORY")
    return database


def _complete(database: sqlite3.Connection) -> None:
    """Roll back an interrupted transaction, and move the -wal file into the database."""
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise sqlite3.OperationalError("its -wal file could not be moved into the copy")


def _check(database: sqlite3.Connection) -> dict[str, list[str]]:
    try:
        rows = database.execute("PRAGMA integrity_check(10)")
        problems = [_text(row[0]) for row in rows]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        problems = [_text(error)]
    return {} if problems == ["ok"] else {"damaged": problems}


def _text(text: object) -> str:
    return str(text)[:LONGEST_ERROR]
