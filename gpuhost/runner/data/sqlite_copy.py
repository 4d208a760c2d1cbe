"""Copies SQLite databases while the app writes to them."""

from __future__ import annotations

import json
import math
import os
import sys
import time
from contextlib import ExitStack
from pathlib import Path
from typing import BinaryIO

from gpuhost.runner.data import sqlite_locks
from gpuhost.runner.data.sqlite_check import BESIDE
from gpuhost.runner.data.stored import require_room
from gpuhost.runner.lib.commands import Outcome, try_run
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.file_names import shown
from gpuhost.runner.lib.files import data_pieces
from gpuhost.runner.lib.log import Log

WAL, SHM, JOURNAL = BESIDE
# A journal ends with it if it names another file, that of a transaction of several databases.
MAGIC = bytes.fromhex("d9d505f920a163d7")
# The copy is made again if the first process opens the database meanwhile.
TRIES = 3
# Bytes that the process that checks the copy may use.
MEMORY = 1 << 30
# Characters of an error of SQLite.
LONGEST_SHOWN = 300
# The runner is one file; its own link may be that of a newer one by now.
PACKAGES = Path(__file__).resolve().parents[3]
CHILD = """import sys
sys.path.insert(0, sys.argv.pop(1))
from gpuhost.runner.data.sqlite_check import main
main()"""


def copy(
    directory: DirectoryHandle,
    source: str,
    target: Path,
    *,
    deadline: float,
    name: str,
    log: Log,
) -> tuple[os.stat_result, str]:
    """Copy a consistent state of a database into one new file, and check it; its state, and how it
    was checked.

    Writers continue if the database is in WAL mode; in older journal modes they wait.

    + directory, source: of the app; SQLite opens only the copy
    + target: in a directory of root
    + deadline: a time.monotonic()
    + name: for messages

    Raises Failure or OSError.
    """
    for _ in range(TRIES):
        state = _copy_files(directory, source, target, deadline, name)
        if state is not None:
            break
        for path in files_of(target):
            path.unlink(missing_ok=True)
    else:
        raise Failure(f"SQLite database {name} was opened and closed again during each copy")
    # What is beside it goes into it.
    require_room(target, sum(path.stat().st_size for path in files_of(target)[1:] if path.exists()))
    own = _complete_and_check(target, deadline, name, log)
    if not own:
        return state, "integrity_check"
    log.write(
        f"warning: SQLite database {name}: its indexes are not compared with its tables, which "
        f"needs functions or collations of the app: {', '.join(own)}"
    )
    return state, "quick_check"


def files_of(path: Path) -> tuple[Path, ...]:
    """A database and the files that SQLite keeps beside it."""
    return (path, *(path.with_name(path.name + ending) for ending in BESIDE))


def _copy_files(
    directory: DirectoryHandle, source: str, target: Path, deadline: float, name: str
) -> os.stat_result | None:
    """None: a process has opened the database meanwhile, and could write to it."""
    with ExitStack() as files:
        database = files.enter_context(directory.read(source))
        sqlite_locks.hold_database(database, deadline, name)
        memory = _open(files, directory, source + SHM)
        if memory is not None:
            sqlite_locks.hold_wal(memory, deadline, name)
        journal = _open(files, directory, source + JOURNAL)
        if journal is not None and _is_left_over(journal, database):
            copied = target.with_name(target.name + JOURNAL)
            _copy(journal, copied, deadline, name)
            _refuse_other_files(copied, name)
        _copy(database, target, deadline, name)
        # After the database, which has nothing that the -wal file does not have.
        wal = _open(files, directory, source + WAL)
        if wal is not None:
            _copy(wal, target.with_name(target.name + WAL), deadline, name)
        if memory is None and directory.look(source + SHM) is not None:
            return None
        return os.fstat(database.fileno())


def _open(files: ExitStack, directory: DirectoryHandle, name: str) -> BinaryIO | None:
    try:
        return files.enter_context(directory.read(name))
    except FileNotFoundError:
        return None


def _is_left_over(journal: BinaryIO, database: BinaryIO) -> bool:
    """Whether a transaction was interrupted, and has to be rolled back in the copy."""
    return journal.read(1) not in (b"", b"\0") and not sqlite_locks.has_writer(database)


def _refuse_other_files(journal: Path, name: str) -> None:
    """SQLite would delete a file that the journal names, whichever it is."""
    with journal.open("rb") as file:
        file.seek(max(0, journal.stat().st_size - len(MAGIC)))
        if file.read() != MAGIC:
            return
    raise Failure(
        f"SQLite database {name}: its journal is of an interrupted transaction that includes "
        "other databases",
        fix="start the app, which completes the transaction, and make the backup again",
    )


def _copy(source: BinaryIO, target: Path, deadline: float, name: str) -> None:
    """What the file has now: it may grow meanwhile."""
    end = os.fstat(source.fileno()).st_size
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        for offset, piece in data_pieces(source.fileno(), end):
            if time.monotonic() > deadline:
                raise _late(name)
            require_room(target)
            file.seek(offset)
            file.write(piece)
        file.truncate(min(end, os.fstat(source.fileno()).st_size))


def _complete_and_check(target: Path, deadline: float, name: str, log: Log) -> list[str]:
    """Not in this process: see sqlite_check.py. Returns what only the app has. Raises Failure."""
    seconds = max(1.0, deadline - time.monotonic())
    outcome = try_run(
        log,
        *(sys.executable, "-I", "-c", CHILD, str(PACKAGES), str(target)),
        *(str(math.ceil(seconds) + 1), str(MEMORY)),
        seconds=seconds,
        quiet=True,
    )
    if outcome.status is None:
        raise _late(name)
    found = _found(outcome, log)
    if found.get("damaged"):
        raise Failure(
            f"SQLite database {name} is damaged",
            output=tuple(found["damaged"]),
            fix="restore a backup, or repair it with .recover of sqlite3",
        )
    if found.get("error"):
        raise Failure(
            f"SQLite database {name} cannot be copied: {found['error'][0]}",
            fix="check it with the app's own tools; list an encrypted one under paths, and back it "
            "up while the app is stopped",
        )
    return found.get("own", [])


def _found(outcome: Outcome, log: Log) -> dict[str, list[str]]:
    """On lines that can be shown: names of tables can have line ends, and secrets."""
    if not outcome.ok:
        return {"error": [f"its check ended with exit status {outcome.status}"]}
    found: dict[str, list[str]] = json.loads(outcome.out)
    return {
        key: [shown(log.beginning(text, LONGEST_SHOWN)) for text in texts]
        for key, texts in found.items()
    }


def _late(name: str) -> Failure:
    return Failure(f"SQLite database {name} was not copied and checked within backup.limit_s")
