"""Copies of SQLite databases: consistent, bounded, and without SQLite in the app's directory."""

from __future__ import annotations

import os
import sqlite3
import stat
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gpuhost.runner.data import sqlite_copy, sqlite_locks
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE, Log
from tests.runner.backup_fixtures import a_database, home

__all__ = ["home"]

root = pytest.mark.skipif(os.getuid() != 0, reason="only root can make a device")
MAGIC = bytes.fromhex("d9d505f920a163d7")


def copied(home: Path, *, seconds: float = 60) -> Path:
    target = home / "backup/copy"
    deadline = time.monotonic() + seconds
    with DirectoryHandle.open(home / "data") as directory:
        sqlite_copy.copy(
            *(directory, "app.db", target), deadline=deadline, name="data/app.db", log=NOWHERE
        )
    assert [path.name for path in target.parent.iterdir()] == ["copy"]
    return target


def rows(path: Path, where: str = "1") -> int:
    with closing(sqlite3.connect(path)) as database:
        return int(database.execute(f"SELECT count(*) FROM pairs WHERE {where}").fetchone()[0])


CHILD = """
import os, sqlite3, sys
database = sqlite3.connect(sys.argv[1], isolation_level=None)
database.execute("PRAGMA cache_size = 1")
database.execute("PRAGMA cache_spill = 1")
exec(sys.argv[2])
print("ready", flush=True)
if sys.argv[3] == "dies":
    os.kill(os.getpid(), 9)
sys.stdin.read()
"""


class Process:
    """Another process that has the database open, in the middle of something."""

    def __init__(self, path: Path, statements: str, end: str = "stays") -> None:
        words = [sys.executable, "-c", CHILD, str(path), statements, end]
        pipes = {"stdin": subprocess.PIPE, "stdout": subprocess.PIPE}
        self.process = subprocess.Popen(words, text=True, **pipes)  # type: ignore[call-overload]
        assert self.process.stdout.readline() == "ready\n"
        if end == "dies":
            self.process.wait()

    def __enter__(self) -> Process:
        return self

    def __exit__(self, *_: object) -> None:
        self.process.communicate("")


def execute(*statements: str) -> str:
    return "\n".join(f"database.execute({statement!r}).fetchall()" for statement in statements)


CHANGE = "UPDATE pairs SET left = left + 1"
MODES = ["wal", "delete", "truncate", "persist", "memory", "off"]


@pytest.mark.parametrize("mode", MODES)
def test_a_copy_has_what_is_committed_in_any_journal_mode(home: Path, mode: str) -> None:
    path = home / "data/app.db"
    a_database(path, mode="wal" if mode == "wal" else "delete", rows=5000)
    begun = execute(f"PRAGMA journal_mode={mode}", CHANGE, "UPDATE pairs SET right = left", "BEGIN")
    with Process(path, begun):
        copy = copied(home)
    assert (rows(copy), rows(copy, "left = right AND left >= 1")) == (5000, 5000)


@pytest.mark.parametrize("mode", ["wal", "delete", "persist", "truncate"])
def test_a_transaction_in_progress_is_not_in_the_copy(home: Path, mode: str) -> None:
    path = home / "data/app.db"
    a_database(path, mode="wal" if mode == "wal" else "delete", rows=500)
    begun = execute(
        "PRAGMA cache_size = 1000", f"PRAGMA journal_mode={mode}", "BEGIN IMMEDIATE", CHANGE
    )
    with Process(path, begun):
        copy = copied(home)
    assert (rows(copy), rows(copy, "left != right")) == (500, 0)


@pytest.mark.parametrize("mode", ["wal", "delete", "persist", "truncate"])
def test_what_an_interrupted_process_left_is_rolled_back_in_the_copy_only(
    home: Path, mode: str
) -> None:
    path = home / "data/app.db"
    a_database(path, mode="wal" if mode == "wal" else "delete", rows=20_000)
    Process(path, execute(f"PRAGMA journal_mode={mode}", "BEGIN", CHANGE), "dies")
    before = {file.name: file.read_bytes() for file in (home / "data").iterdir()}
    assert len(before) > 1
    copy = copied(home)
    assert (rows(copy), rows(copy, "left != right")) == (20_000, 0)
    assert {file.name: file.read_bytes() for file in (home / "data").iterdir()} == before


def test_rows_in_the_wal_of_a_killed_process_are_in_the_copy(home: Path) -> None:
    path = home / "data/app.db"
    a_database(path)
    Process(path, execute("INSERT INTO pairs VALUES (-1, -1)"), "dies")
    path.with_name("app.db-shm").unlink()
    assert rows(copied(home)) == 101


def test_no_checkpoint_and_no_new_wal_during_a_copy(home: Path) -> None:
    """They would change the files that are copied; a writer goes on."""
    path, wal = home / "data/app.db", home / "data/app.db-wal"
    a_database(path, rows=2000)
    checkpoint = execute("PRAGMA wal_checkpoint(TRUNCATE)")
    # The locks of one process do not exclude each other: other processes write.
    with Process(path, execute(CHANGE)):
        before, begin, size = path.read_bytes(), wal.read_bytes()[:32], wal.stat().st_size
        with (
            DirectoryHandle.open(home / "data") as directory,
            directory.read("app.db") as held,
            directory.read("app.db-shm") as shared,
        ):
            sqlite_locks.hold_database(held, time.monotonic() + 9, "app.db")
            sqlite_locks.hold_wal(shared, time.monotonic() + 9, "app.db")
            tried = execute("PRAGMA busy_timeout = 0", CHANGE)
            with Process(path, "\n".join([tried, checkpoint, execute(CHANGE)])):
                assert (path.read_bytes(), wal.read_bytes()[:32]) == (before, begin)
                assert wal.stat().st_size > size
        with Process(path, checkpoint):
            assert path.read_bytes() != before


def test_a_checkpoint_during_a_copy_waits_for_its_end(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path, copy_one, unchanged = home / "data/app.db", sqlite_copy._copy, []
    a_database(path, rows=2000)
    tried = execute("PRAGMA busy_timeout = 0", CHANGE, "PRAGMA wal_checkpoint(TRUNCATE)")

    def try_first(*arguments: object) -> None:
        # Not its content: to close the file would end the locks of this process.
        before = path.stat().st_mtime_ns
        with Process(path, tried):
            unchanged.append(path.stat().st_mtime_ns == before)
        copy_one(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_copy, "_copy", try_first)
    with Process(path, execute(CHANGE)):
        copy = copied(home)
    assert unchanged == [True, True]
    assert rows(copy) == 2000


def test_a_database_that_is_opened_during_the_copy_is_copied_again(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    path = home / "data/app.db"
    a_database(path)
    copy_one, opened = sqlite_copy._copy, []

    def open_first(*arguments: object) -> None:
        if not opened:
            opened.append(Process(path, execute("INSERT INTO pairs VALUES (7, 7)")))
        copy_one(*arguments)  # type: ignore[arg-type]

    monkeypatch.setattr(sqlite_copy, "_copy", open_first)
    try:
        assert rows(copied(home)) == 101
    finally:
        opened[0].__exit__()


def test_a_writer_that_does_not_end_is_named(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    path = home / "data/app.db"
    a_database(path, mode="delete")
    monkeypatch.setattr(sqlite_locks, "BUSY_S", 0)
    with (
        Process(path, execute("BEGIN EXCLUSIVE")),
        pytest.raises(Failure, match=r"data/app\.db is locked by a writer"),
    ):
        copied(home)


def a_journal(other: bytes, pages: int) -> bytes:
    """The journal of a transaction that includes other databases. + other: a file to delete"""
    header = MAGIC + struct.pack(">IIIII", 0, 0, pages, 512, 4096)
    page = struct.pack(">I", 0x40000000 // 4096 + 1)
    end = struct.pack(">II", len(other), sum(other) & 0xFFFFFFFF) + MAGIC
    return header.ljust(512, b"\0") + page + other + end


def test_a_journal_that_names_a_file_of_the_host_deletes_nothing(home: Path) -> None:
    path, secret = home / "data/app.db", home / "secret"
    a_database(path, mode="delete")
    secret.write_text("of the host")
    journal = a_journal(os.fsencode(secret), path.stat().st_size // 4096)
    path.with_name("app.db-journal").write_bytes(journal)
    with pytest.raises(Failure, match="includes other databases"):
        copied(home)
    assert secret.read_text() == "of the host"
    # SQLite itself would have deleted it.
    with closing(sqlite3.connect(path)) as database:
        database.execute("SELECT count(*) FROM pairs").fetchone()
    assert not secret.exists()


def link(path: Path, host: Path) -> None:
    path.symlink_to(host / "other.db")


def pipe(path: Path, host: Path) -> None:
    os.mkfifo(path)


def device(path: Path, host: Path) -> None:
    os.mknod(path, stat.S_IFBLK | 0o600, os.makedev(7, 250))


def directory(path: Path, host: Path) -> None:
    path.mkdir()


@pytest.mark.parametrize("put", [link, pipe, pytest.param(device, marks=root), directory])
@pytest.mark.parametrize("ending", ["", "-wal", "-shm", "-journal"])
def test_only_regular_files_are_opened(
    home: Path, put: Callable[[Path, Path], None], ending: str
) -> None:
    path = home / "data/app.db"
    a_database(path, mode="delete")
    a_database(home / "other.db", mode="delete", rows=7)
    before = (home / "other.db").read_bytes()
    path.with_name(path.name + ending).unlink(missing_ok=True)
    put(path.with_name(path.name + ending), home)
    with pytest.raises(OSError):
        copied(home)
    assert (home / "other.db").read_bytes() == before


def test_an_encrypted_database_says_what_to_do(home: Path) -> None:
    (home / "data/app.db").write_bytes(os.urandom(8192))
    with pytest.raises(Failure, match=r"cannot be copied: file is not a database") as raised:
        copied(home)
    assert "list an encrypted one under paths" in raised.value.fix


OF_THE_APP = {
    "json_valid": ("CREATE TABLE t (x TEXT CHECK (json_valid(x) OR x IS NULL))", ""),
    "json_extract": ("CREATE TABLE t (x TEXT, y AS (x ->> '$.a')); CREATE INDEX i ON t (y)", ""),
    "order": ("CREATE TABLE t (x TEXT PRIMARY KEY COLLATE backwards) WITHOUT ROWID", "backwards"),
    "index": ("CREATE TABLE t (x TEXT); CREATE INDEX i ON t (\"sort (it)\"(x))", "sort (it)"),
    "column": ("CREATE TABLE t (x TEXT, y TEXT NOT NULL AS (\"sort (it)\"(x)))", "sort (it)"),
}  # fmt: skip


@pytest.mark.parametrize(("schema", "own"), OF_THE_APP.values(), ids=OF_THE_APP)
def test_a_schema_with_functions_and_collations_is_copied(
    home: Path, tmp_path: Path, schema: str, own: str
) -> None:
    with closing(sqlite3.connect(home / "data/app.db")) as database:
        database.create_collation("backwards", lambda one, other: (one < other) - (one > other))
        database.create_function("sort (it)", 1, lambda text: f"1{text}", deterministic=True)
        database.executescript(schema)
        database.executemany("INSERT INTO t (x) VALUES (?)", [('{"a": 1}',), ('{"a": 2}',)])
        database.commit()
    log = Log(tmp_path / "log")
    with DirectoryHandle.open(home / "data") as directory:
        target, deadline = home / "backup/copy", time.monotonic() + 60
        _, verified = sqlite_copy.copy(
            *(directory, "app.db", target), deadline=deadline, name="app.db", log=log
        )
    assert verified == ("quick_check" if own else "integrity_check")
    logged = (tmp_path / "log").read_text() if own else ""
    assert logged.rstrip().endswith(own)


def test_damage_is_found_without_the_functions_of_the_app(home: Path) -> None:
    path = home / "data/app.db"
    with closing(sqlite3.connect(path)) as database:
        database.create_collation("own", lambda one, other: (one > other) - (one < other))
        database.execute("CREATE TABLE t (x TEXT COLLATE own UNIQUE)")
        database.executemany("INSERT INTO t VALUES (?)", ((f"{n:01000}",) for n in range(100)))
        database.commit()
    content = bytearray(path.read_bytes())
    content[8192 + 3 : 8192 + 5] = b"\xff\xff"
    path.write_bytes(content)
    with pytest.raises(Failure, match="is damaged"):
        copied(home)


def test_an_empty_database_is_copied(home: Path) -> None:
    (home / "data/app.db").touch()
    assert copied(home).stat().st_size == 0
