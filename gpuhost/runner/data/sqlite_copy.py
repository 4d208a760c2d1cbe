"""Copies SQLite databases while the app writes to them."""

from __future__ import annotations

import os
import sqlite3
import threading
import time
from collections.abc import Iterator
from contextlib import ExitStack, closing, contextmanager
from pathlib import Path
from typing import BinaryIO
from urllib.parse import quote

from gpuhost.runner.data import sqlite_locks
from gpuhost.runner.data.stored import require_room, settle
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure

# Files that SQLite keeps beside a database; they would damage another one.
BESIDE = (WAL, SHM, JOURNAL) = ("-wal", "-shm", "-journal")
PIECE = 1 << 20
# A journal ends with it if it names another file, that of a transaction of several databases.
MAGIC = bytes.fromhex("d9d505f920a163d7")
# The copy is made again if the first process opens the database meanwhile.
TRIES = 3
PAUSE_S = 0.1


def copy(
    directory: DirectoryHandle, source: str, target: Path, *, deadline: float, name: str
) -> os.stat_result:
    """Copy a consistent state of a database into one new file, and check it; its state.

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
    with _connect(target, "rw", deadline, name) as database:
        _complete(database, name)
    for path in files_of(target)[1:]:
        path.unlink(missing_ok=True)
    settle(target)
    with _connect(target, "ro&immutable=1", deadline, name) as database:
        _check(database, name)
    return state


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
    left = os.fstat(source.fileno()).st_size
    source.seek(0)
    number = os.open(target, os.O_WRONLY | os.O_CREAT | os.O_EXCL, 0o600)
    with os.fdopen(number, "wb") as file:
        while left > 0 and (piece := source.read(min(PIECE, left))):
            if time.monotonic() > deadline:
                raise _late(name)
            require_room(target)
            left -= len(piece)
            if piece.count(0) == len(piece):
                # A hole, of any size, takes no room in the copy either.
                file.seek(len(piece), os.SEEK_CUR)
            else:
                file.write(piece)
        file.truncate()


@contextmanager
def _connect(target: Path, mode: str, deadline: float, name: str) -> Iterator[sqlite3.Connection]:
    """A connection to the copy, interrupted at the deadline. Raises Failure."""
    address = f"file:{quote(str(target))}?mode={mode}"
    try:
        with (
            closing(
                sqlite3.connect(address, uri=True, isolation_level=None, check_same_thread=False)
            ) as database,
            _interrupted(database, deadline),
        ):
            # The file is the app's: its functions are not run, and its pages are not trusted.
            database.execute("PRAGMA trusted_schema = OFF")
            database.execute("PRAGMA cell_size_check = ON")
            yield database
    except sqlite3.Error as error:
        if time.monotonic() > deadline:
            raise _late(name) from error
        raise Failure(
            f"SQLite database {name} cannot be copied: {error}",
            fix="check it with the app's own tools; list an encrypted one under paths, and back it "
            "up while the app is stopped",
        ) from error


@contextmanager
def _interrupted(database: sqlite3.Connection, deadline: float) -> Iterator[None]:
    """Interrupts statements that run after the deadline."""
    ended = threading.Event()

    def watch() -> None:
        wait = max(0.0, deadline - time.monotonic())
        while not ended.wait(wait):
            database.interrupt()
            wait = PAUSE_S

    watcher = threading.Thread(target=watch, daemon=True)
    watcher.start()
    try:
        yield
    finally:
        ended.set()
        watcher.join()


def _complete(database: sqlite3.Connection, name: str) -> None:
    """Roll back an interrupted transaction, and move the -wal file into the database."""
    database.execute("SELECT count(*) FROM sqlite_master").fetchone()
    busy, *_ = database.execute("PRAGMA wal_checkpoint(TRUNCATE)").fetchone()
    if busy:
        raise Failure(f"SQLite database {name}: its -wal file could not be moved into the copy")


def _check(database: sqlite3.Connection, name: str) -> None:
    try:
        problems = [str(row[0]) for row in database.execute("PRAGMA integrity_check(10)")]
    except sqlite3.OperationalError:
        raise
    except sqlite3.DatabaseError as error:
        problems = [str(error)]
    if problems != ["ok"]:
        raise Failure(
            f"SQLite database {name} is damaged",
            output=tuple(problems),
            fix="restore a backup, or repair it with .recover of sqlite3",
        )


def _late(name: str) -> Failure:
    return Failure(f"SQLite database {name} was not copied and checked within backup.limit_s")
