"""Completes and checks the copy of a SQLite database, in a process of its own.

An app has written the database: a check evaluates the expressions of its indexes, which can need
days and any memory, and cannot be interrupted. So this process has limits, and is killed:
sqlite_copy.py starts it, with the path of the copy and the limits as arguments. It prints JSON:
what is wrong, "error" or "damaged", or "own": collations and functions of the app that it lacks, so
that not all could be checked; {} if nothing is.
"""

from __future__ import annotations

import ctypes
import json
import os
import re
import resource
import sqlite3
import sys
from contextlib import closing
from dataclasses import dataclass
from pathlib import Path
from urllib.parse import quote

# Files that SQLite keeps beside a database; they would damage another one.
BESIDE = ("-wal", "-shm", "-journal")
CLONE_NEWNET = 0x40000000
MISSING = re.compile(
    r"no such collation sequence: (?P<collation>.+)|unknown function: (?P<function>.+)\(\)",
    re.DOTALL,
)
# Collations and functions of an app.
MOST_OWN = 100
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
    # Not trusted_schema = OFF: SQLite 3.40 then refuses a schema with JSON functions. Those that
    # have an effect, as load_extension, are refused in a schema in any case.
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
    own: list[str] = []
    try:
        problems = _problems(database, "integrity_check")
        while isinstance(problems, Missing):
            own.append(problems.name)
            if len(own) > MOST_OWN:
                raise sqlite3.OperationalError("it needs too many functions of the app")
            problems.stand_in(database)
            # It compares no index with its table, and no order.
            problems = _problems(database, "quick_check")
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        problems = [_text(error)]
    if own:
        # A stand-in has no value.
        problems = [one for one in problems if not one.startswith("NULL value in ")] or ["ok"]
    if problems != ["ok"]:
        return {"damaged": problems}
    return {"own": own} if own else {}


@dataclass(frozen=True)
class Missing:
    """A collation or function that only the app has."""

    name: str
    is_collation: bool

    def stand_in(self, database: sqlite3.Connection) -> None:
        """One that accepts everything."""
        if self.is_collation:
            database.create_collation(self.name, lambda one, other: (one > other) - (one < other))
        else:
            database.create_function(self.name, -1, lambda *_: None, deterministic=True)


def _problems(database: sqlite3.Connection, pragma: str) -> list[str] | Missing:
    try:
        return [_text(row[0]) for row in database.execute(f"PRAGMA {pragma}(10)")]
    except sqlite3.OperationalError as error:
        match = MISSING.fullmatch(str(error))
        if match is None:
            raise
        return Missing(match["collation"] or match["function"], bool(match["collation"]))


def _text(text: object) -> str:
    return str(text)[:LONGEST_ERROR]
