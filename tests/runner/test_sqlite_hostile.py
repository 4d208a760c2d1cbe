"""Databases that an app has made to harm the runner: another process checks their copies."""

from __future__ import annotations

import json
import os
import sqlite3
import struct
import subprocess
import sys
import time
from collections.abc import Callable
from contextlib import closing
from pathlib import Path

import pytest

from gpuhost.rollout.runner_file import runner_file
from gpuhost.runner.data import sqlite_copy
from gpuhost.runner.lib import abort
from gpuhost.runner.lib.abort import Aborted, abortable
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE, Log
from tests.runner.backup_fixtures import home

__all__ = ["home"]

# One instruction of SQLite, which computes for days.
LETTERS = "replace(hex(zeroblob({})), '0', 'a')"
SLOW = f"instr({LETTERS.format(50_000_000)}, {LETTERS.format(25_000_000)} || 'b' || x)"
LARGE = "length(hex(zeroblob(120000000)) || x)"


def with_index(path: Path, expression: str) -> None:
    """A database with an index on an expression, which no statement of the app evaluates."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript(
            "CREATE TABLE t (x TEXT); CREATE INDEX i ON t (lower(x)); INSERT INTO t VALUES ('a');"
            "PRAGMA writable_schema = ON"
        )
        statement = "UPDATE sqlite_master SET sql = ? WHERE name = 'i'"
        database.execute(statement, (f"CREATE INDEX i ON t ({expression})",))
        database.commit()


def copy(home: Path, name: str = "app.db", seconds: float = 60, log: Log = NOWHERE) -> Path:
    target = home / "backup/copy"
    deadline = time.monotonic() + seconds
    with DirectoryHandle.open(home / "data") as directory:
        sqlite_copy.copy(directory, name, target, deadline=deadline, name=name, log=log)
    return target


def children(home: Path) -> list[int]:
    """Processes with the copy in their arguments."""
    target = os.fsencode(home / "backup/copy")
    lines = ((path, read(path / "cmdline")) for path in Path("/proc").glob("[0-9]*"))
    return [int(path.name) for path, line in lines if target in line.split(b"\0")]


def read(path: Path) -> bytes:
    try:
        return path.read_bytes()
    except OSError:
        return b""


def test_a_check_that_cannot_be_interrupted_ends_at_the_deadline(home: Path) -> None:
    with_index(home / "data/app.db", SLOW)
    with pytest.raises(Failure, match=r"was not copied and checked within backup\.limit_s"):
        copy(home, seconds=1)
    assert children(home) == []


def test_a_check_that_cannot_be_interrupted_is_aborted(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(abort, "LOOK_S", 0.02)
    with_index(home / "data/app.db", SLOW)
    with (
        abortable(lambda: "bob@desk" if children(home) else ""),
        pytest.raises(Aborted, match="bob@desk"),
    ):
        copy(home)
    assert children(home) == []


def test_a_check_gets_no_more_memory_than_allowed(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with_index(home / "data/app.db", LARGE)
    with pytest.raises(Failure, match=r"app\.db is damaged"):
        copy(home)
    (home / "backup/copy").unlink()
    monkeypatch.setattr(sqlite_copy, "MEMORY", 200 << 20)
    with pytest.raises(Failure, match=r"app\.db cannot be copied: it needs too much memory"):
        copy(home)


def test_the_process_of_the_check_has_limits_and_no_network(home: Path) -> None:
    shown = (
        "import resource, socket, json; from gpuhost.runner.data.sqlite_check import _limit;"
        "_limit(7, 1 << 30, 1 << 20); r = resource;"
        "print(json.dumps([r.getrlimit(r.RLIMIT_CPU), r.getrlimit(r.RLIMIT_AS),"
        "r.getrlimit(r.RLIMIT_FSIZE), r.getrlimit(r.RLIMIT_CORE),"
        "[name for _, name in socket.if_nameindex()]]))"
    )
    command = [sys.executable, "-c", shown]
    answer = subprocess.run(command, capture_output=True, check=True, cwd=sqlite_copy.PACKAGES)
    cpu, memory, file, core, interfaces = json.loads(answer.stdout)
    assert (cpu, memory) == ([7, 7], [1 << 30, 1 << 30])
    assert (file, core) == ([1 << 20, 1 << 20], [0, 0])
    if os.getuid() == 0:
        assert interfaces == ["lo"]


def test_a_check_that_is_killed_is_a_failure(home: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    with_index(home / "data/app.db", "lower(x)")
    monkeypatch.setattr(sqlite_copy, "CHILD", "import os; os.kill(os.getpid(), 9)")
    with pytest.raises(Failure, match="cannot be copied: its check ended with exit status -9"):
        copy(home)


def test_the_check_runs_from_the_one_file_of_the_runner(home: Path) -> None:
    runner = home / "runner-1.pyz"
    runner.write_bytes(runner_file().data)
    (home / "runner.pyz").symlink_to(runner)
    with_index(home / "data/app.db", "lower(x)")
    code = (
        "import sys; sys.path.insert(0, sys.argv[1]); from pathlib import Path;"
        "from gpuhost.runner.data import sqlite_copy;"
        "from gpuhost.runner.lib.directory_handle import DirectoryHandle;"
        "from gpuhost.runner.lib.log import NOWHERE, Log;"
        "home = Path(sys.argv[2]); directory = DirectoryHandle.open(home / 'data');"
        "(home / 'runner.pyz').unlink();"
        "sqlite_copy.copy(directory, 'app.db', home / 'backup/copy', deadline=float(sys.argv[3]),"
        "name='app.db', log=NOWHERE)"
    )
    words = (str(home / "runner.pyz"), str(home), str(time.monotonic() + 60))
    subprocess.run([sys.executable, "-I", "-c", code, *words], check=True)
    assert (home / "backup/copy").read_bytes() == (home / "data/app.db").read_bytes()


def changed(offset: int, content: bytes) -> Callable[[Path], None]:
    """Of the header of a database: https://sqlite.org/fileformat2.html."""

    def change(path: Path) -> None:
        with path.open("r+b") as file:
            file.seek(offset)
            file.write(content)

    return change


def freelist_of_itself(path: Path) -> None:
    """The first page of the list of free pages is the next one too."""
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE u (x); INSERT INTO u VALUES (zeroblob(90000));")
        database.executescript("DROP TABLE u;")
    first = struct.unpack(">I", path.read_bytes()[32:36])[0]
    changed((first - 1) * 4096, struct.pack(">II", first, 0xFFFF))(path)


def tree_of_itself(path: Path) -> None:
    """The root of a table is an inner page, and its own child."""
    page = struct.pack(">BHHHBI", 5, 0, 0, 4096, 0, 2)
    changed(4096, page.ljust(4096, b"\0"))(path)


def schema(*statements: str) -> Callable[[Path], None]:
    def change(path: Path) -> None:
        with closing(sqlite3.connect(path)) as database:
            for statement in statements:
                database.execute(statement)
            database.commit()

    return change


def named(kind: str, sql: str) -> Callable[[Path], None]:
    return schema(
        "PRAGMA writable_schema = ON",
        f"INSERT INTO sqlite_master VALUES ('{kind}', 'h', 'h', 0, '{sql}')",
    )


def an_endless_view(path: Path) -> None:
    recursive = "WITH RECURSIVE n(x) AS (SELECT 1 UNION ALL SELECT x FROM n) SELECT x FROM n"
    schema(f"CREATE VIEW v AS {recursive}")(path)


def a_short_file(path: Path) -> None:
    os.truncate(path, 4096)


def a_journal_of_noise(path: Path) -> None:
    path.with_name(f"{path.name}-journal").write_bytes(
        bytes.fromhex("d9d505f920a163d7") + b"\xff" * 5000
    )


def a_journal_of_terabytes(path: Path) -> None:
    """It says how large the database was before."""
    header = bytes.fromhex("d9d505f920a163d7") + struct.pack(">IIIII", 0, 5, 2**31, 512, 4096)
    path.with_name(f"{path.name}-journal").write_bytes(header.ljust(512, b"\0"))


def a_wal_of_noise(path: Path) -> None:
    path.with_name(f"{path.name}-wal").write_bytes(
        struct.pack(">IIII", 0x377F0682, 3007000, 4096, 0) + b"\xff" * 90_000
    )


GOOD, BAD = True, False


@pytest.mark.parametrize(
    ("harm", "is_good"),
    [
        (changed(16, b"\x00\x01"), BAD),  # pages of 64 KiB
        (changed(16, b"\x02\x00"), BAD),  # of 512 bytes
        (changed(16, b"\xff\xff"), BAD),
        (changed(28, b"\xff\xff\xff\xfe"), BAD),  # 2^32-2 pages
        (changed(32, b"\xff\xff\xff\xff\xff\xff\xff\xff"), BAD),  # free pages
        (changed(18, b"\x02\x02"), GOOD),  # WAL mode, without its files
        (freelist_of_itself, BAD),
        (tree_of_itself, BAD),
        (a_short_file, BAD),
        (an_endless_view, GOOD),
        (a_journal_of_noise, GOOD),
        (a_journal_of_terabytes, BAD),
        (a_wal_of_noise, GOOD),
        (schema("CREATE TABLE g (a, b AS (hex(zeroblob(99999999))) STORED)"), GOOD),
        (schema("CREATE TABLE g (a CHECK (instr(hex(zeroblob(9999999)), a)))"), GOOD),
        (schema("CREATE TRIGGER r AFTER INSERT ON t BEGIN DELETE FROM t; END"), GOOD),
        (schema("CREATE VIRTUAL TABLE f USING fts5(x)", "DELETE FROM f_data"), GOOD),
        (named("table", "CREATE VIRTUAL TABLE h USING absent(x)"), GOOD),
        (named("table", "CREATE TABLE h AS SELECT 1"), BAD),
        (named("trigger", "ATTACH /etc/other AS h"), BAD),
    ],
    ids=lambda value: getattr(value, "__name__", None),
)
def test_a_hostile_database_is_copied_or_refused(
    home: Path, harm: Callable[[Path], None], is_good: bool
) -> None:
    path = home / "data/app.db"
    with closing(sqlite3.connect(path)) as database:
        database.executescript("CREATE TABLE t (x); INSERT INTO t VALUES ('a'); ANALYZE")
    harm(path)
    if is_good:
        copy(home)
        assert [each.name for each in (home / "backup").iterdir()] == ["copy"]
    else:
        with pytest.raises(Failure, match=r"is damaged|cannot be copied"):
            copy(home)
    assert sorted(each.name for each in home.iterdir()) == ["backup", "data"]


NAMES = ["a?mode=memory", "b#c%20d", "e'f\"g", "h\ni", "\udcff.db", ":memory:"]


@pytest.mark.parametrize("name", NAMES)
def test_a_name_is_only_a_name(home: Path, name: str) -> None:
    with_index(home / "data/app.db", "lower(x)")
    (home / "data/app.db").rename(home / "data" / name)
    assert copy(home, name).read_bytes() == (home / "data" / name).read_bytes()


def test_an_error_has_no_line_ends_of_the_app(home: Path) -> None:
    path = home / "data/app.db"
    schema("CREATE TABLE t (x)", "PRAGMA writable_schema = ON")(path)
    schema(
        "PRAGMA writable_schema = ON",
        "UPDATE sqlite_master SET name = 'a\n== nginx', sql = 'CREATE TABLE (' WHERE name = 't'",
    )(path)
    with pytest.raises(Failure) as raised:
        copy(home)
    assert "\n" not in raised.value.said + "".join(raised.value.output)


@pytest.mark.parametrize("before", range(250, 300, 5))
def test_no_part_of_a_secret_is_left_in_a_long_error(home: Path, before: int) -> None:
    path, secret = home / "data/app.db", "ΩΨΞΔΠΣΘΛ" * 2
    schema("CREATE TABLE t (x)")(path)
    name = "x" * before + secret + "y" * 100
    schema(
        "PRAGMA writable_schema = ON",
        f"UPDATE sqlite_master SET name = '{name}', sql = 'CREATE TABLE (' WHERE name = 't'",
    )(path)
    log = Log(Path(os.devnull))
    log.mask([secret])
    with pytest.raises(Failure) as raised:
        copy(home, log=log)
    said = log.masked("\n".join((raised.value.said, *raised.value.output)))
    assert "xxx" in said
    assert not set(said) & set(secret)


def test_a_database_with_holes_of_any_size_is_copied_at_once(home: Path) -> None:
    path = home / "data/app.db"
    with_index(path, "lower(x)")
    os.truncate(path, 1 << 40)
    with DirectoryHandle.open(home / "data") as directory, directory.read("app.db") as file:
        sqlite_copy._copy(file, home / "backup/copy", time.monotonic() + 60, "app.db")
    state = (home / "backup/copy").stat()
    assert (state.st_size, state.st_blocks * 512 < 1 << 20) == (1 << 40, True)
