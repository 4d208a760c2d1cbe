"""SQLite's own locks, on files that are already open.

The runner does not let SQLite open a database where an app can write: a journal that the app put
beside it can name any file of the host, and SQLite deletes that file as root. So the runner reads
the files itself, and holds the locks of a reader meanwhile: https://sqlite.org/fileformat2.html and
https://sqlite.org/walformat.html describe them. Closing a file releases its locks.
"""

from __future__ import annotations

import fcntl
import os
import time
from typing import BinaryIO

from gpuhost.runner.lib import abort
from gpuhost.runner.lib.failure import Failure

# Bytes of the database file that stand for a lock: offset, count.
PENDING = (0x40000000, 1)
RESERVED = (0x40000001, 1)
SHARED = (0x40000002, 510)
# Of the -shm file. The first prevents a checkpoint, which writes to the database; the other one,
# that the -wal file starts again from its beginning. Readers use the locks between them.
READERS = ((123, 1), (127, 1))
# How long a writer may hold the database before the copy begins.
BUSY_S = 60
PAUSE_S = 0.05


def hold_database(file: BinaryIO, deadline: float, name: str) -> None:
    """From now on no transaction writes to the database file, except a checkpoint.

    Raises Failure if a writer holds it for too long.
    """
    _wait(file, PENDING, deadline, name)
    _wait(file, SHARED, deadline, name)
    _release(file, PENDING)


def hold_wal(shared_memory: BinaryIO, deadline: float, name: str) -> None:
    """From now on there is no checkpoint, and the -wal file only grows. Raises Failure."""
    for lock in READERS:
        _wait(shared_memory, lock, deadline, name)


def has_writer(file: BinaryIO) -> bool:
    """Whether a process prepares a transaction, so that the journal is its own."""
    if not _try(file, RESERVED):
        return True
    _release(file, RESERVED)
    return False


def _wait(file: BinaryIO, lock: tuple[int, int], deadline: float, name: str) -> None:
    give_up = min(deadline, time.monotonic() + BUSY_S)
    while not _try(file, lock):
        if time.monotonic() > give_up:
            raise Failure(
                f"SQLite database {name} is locked by a writer, and was not copied",
                fix="find out which process holds a transaction open, or uses an exclusive lock",
            )
        abort.look()
        time.sleep(PAUSE_S)


def _try(file: BinaryIO, lock: tuple[int, int]) -> bool:
    offset, count = lock
    try:
        fcntl.lockf(file, fcntl.LOCK_SH | fcntl.LOCK_NB, count, offset, os.SEEK_SET)
    except BlockingIOError:
        return False
    except PermissionError:
        # EACCES: POSIX allows it in place of EAGAIN.
        return False
    return True


def _release(file: BinaryIO, lock: tuple[int, int]) -> None:
    offset, count = lock
    fcntl.lockf(file, fcntl.LOCK_UN, count, offset, os.SEEK_SET)
