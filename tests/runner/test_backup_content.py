"""The content of a backup: SQLite, files, dumps; complete while the app writes, or an error."""

from __future__ import annotations

import os
import sqlite3
import tarfile
import threading
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.data import backup, postgres, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import NOWHERE
from gpuhost.runner.plan import Backup, Directory
from tests.runner.backup_fixtures import DATABASE, DB, a_database, saved
from tests.runner.host_fixtures import ME, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

RUNNING = "c0ffee running False\n"
root = pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")


def rows(path: Path, where: str = "1") -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM pairs WHERE {where}").fetchone()[0])


@contextmanager
def writer(path: Path) -> Iterator[threading.Event]:
    """A writer that changes both columns of every row, in one transaction after the other."""
    stop, wrote = threading.Event(), threading.Event()

    def write() -> None:
        with closing(sqlite3.connect(path, timeout=60, isolation_level=None)) as database:
            while not stop.is_set():
                database.execute("BEGIN IMMEDIATE")
                database.execute("UPDATE pairs SET left = left + 1")
                database.execute("UPDATE pairs SET right = right + 1")
                database.execute("COMMIT")
                wrote.set()

    thread = threading.Thread(target=write)
    thread.start()
    try:
        assert wrote.wait(60)
        yield wrote
    finally:
        stop.set()
        thread.join()


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_the_copy_of_a_database_is_consistent_during_writes(app: App, mode: str) -> None:
    path = app.paths.shared / DB
    a_database(path, mode=mode, rows=20_000)
    with writer(path) as wrote:
        name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
        # The writer is not blocked.
        wrote.clear()
        assert wrote.wait(60)
    copy = saved(app, name)[DB]
    assert sorted(path.name for path in copy.parent.iterdir()) == [copy.name, "manifest.json"]
    assert (rows(copy), rows(copy, "left != right")) == (20_000, 0)


def test_rows_that_are_only_in_the_wal_are_copied(app: App) -> None:
    path = app.paths.shared / DB
    a_database(path)
    with closing(sqlite3.connect(path)) as connection:
        connection.execute("INSERT INTO pairs VALUES (-1, -1)")
        connection.commit()
        assert path.with_name("app.db-wal").stat().st_size > 0
        name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert rows(saved(app, name)[DB]) == 101


@root
def test_the_owner_of_the_database_files_stays_the_same(app: App) -> None:
    path = app.paths.shared / DB
    a_database(path)
    for one in (path, path.parent):
        os.chown(one, 1001, 1001)
    name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    item = stored.find(app.paths, name).manifest.items[0]
    assert (item.uid, item.gid, item.mode) == (1001, 1001, 0o644)
    assert {one.stat().st_uid for one in path.parent.iterdir()} == {1001}


def overwritten(path: Path) -> None:
    with path.open("r+b") as file:
        file.seek(8192)
        file.write(b"\xff" * 4096)


def inconsistent(path: Path) -> None:
    with closing(sqlite3.connect(path)) as database, database:
        database.execute("INSERT INTO pairs VALUES (NULL, 1)")
        database.execute("PRAGMA writable_schema = 1")
        column = "replace(sql, 'left INTEGER', 'left INTEGER NOT NULL')"
        database.execute(f"UPDATE sqlite_master SET sql = {column}")


@pytest.mark.parametrize(
    ("damage", "message"),
    [(overwritten, "database disk image is malformed"), (inconsistent, "NULL value in pairs.left")],
)
def test_a_damaged_database_is_refused(
    app: App, damage: Callable[[Path], None], message: str
) -> None:
    path = app.paths.shared / DB
    a_database(path, mode="delete", rows=5000)
    damage(path)
    with pytest.raises(Failure, match=r"data/app\.db is damaged") as raised:
        backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert message in raised.value.output
    assert list(app.paths.backups.iterdir()) == []


def test_a_file_that_is_not_a_database_is_refused(app: App) -> None:
    app.data(DB, "not a database, but long enough to look at " * 100)
    with pytest.raises(Failure, match=r"data/app\.db cannot be copied: file is not a database"):
        backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert list(app.paths.backups.iterdir()) == []


@root
def test_files_are_packed_with_owners_modes_and_links_without_the_database(app: App) -> None:
    file = app.data("data/audio/ü.mp3", "sound")
    os.chown(file, 1001, 1002)
    file.chmod(0o640)
    (file.parent / "latest").symlink_to("ü.mp3")
    (file.parent / "same").hardlink_to(file)
    os.mkfifo(file.parent / "pipe")
    a_database(app.paths.shared / DB)
    app.data("data/app.db-journal")
    name = backup.backup(app.release(backup=Backup(sqlite=(DB,), paths=("data",))), "release")
    with tarfile.open(saved(app, name)["data"]) as tar:
        members = {member.name: member for member in tar.getmembers()}
        assert tar.extractfile("data/audio/same").read() == b"sound"  # type: ignore[union-attr]
    inside = ("", "/audio", "/audio/latest", "/audio/same", "/audio/ü.mp3")
    assert sorted(members) == [f"data{name}" for name in inside]
    packed = members["data/audio/ü.mp3"]
    assert (packed.uid, packed.gid, packed.mode) == (1001, 1002, 0o640)
    assert members["data/audio/latest"].linkname == "ü.mp3"


def test_a_path_inside_another_is_packed_once(app: App) -> None:
    app.data("public/audio/a", "a")
    declared = Backup(paths=("public/audio", "public", "public/audio/a"))
    assert list(saved(app, backup.backup(app.release(backup=declared), "release"))) == ["public"]


def test_a_link_in_shared_is_followed_and_one_that_the_app_can_write_is_not(
    app: App, tmp_path: Path
) -> None:
    disk = tmp_path / "disk"
    disk.mkdir()
    (disk / "model").write_text("weights")
    app.data("data/file")
    (app.paths.shared / "models").symlink_to(disk)
    (app.paths.shared / "data/up").symlink_to(disk)
    name = backup.backup(app.release(OLD, backup=Backup(paths=("models",))), "release")
    with tarfile.open(saved(app, name)["models"]) as tar:
        assert sorted(tar.getnames()) == ["disk", "disk/model"]
    declared = Backup(paths=("data/up",))
    release = app.release(backup=declared, directories=(Directory("data", ME),))
    with pytest.raises(Failure, match="not followed"):
        backup.backup(release, "release")


def test_a_dump_is_taken_in_the_running_container(app: App, programs: Programs) -> None:
    programs.answer("docker ps *", "0ddb0y exited True\n" + RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", "PGDMP and more")
    programs.answer("docker exec c0ffee psql *", "4096\n")
    name = backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")
    item = stored.find(app.paths, name).manifest.items[0]
    assert (app.paths.backups / name / item.file).read_text() == "PGDMP and more"
    assert (item.service, item.database, item.user) == ("db", "shop", "ada")
    assert item.unpacked == 4096
    assert "docker exec c0ffee pg_dump -w -Fc -U ada shop" in programs.calls


@pytest.mark.parametrize(
    ("answer", "said", "output"),
    [
        ({"out": "PGDMP", "status": 1, "err": "FATAL: no role\n"}, "failed", ("FATAL: no role",)),
        ({"out": "pg_dump: nothing"}, "is not a dump", ()),
        ({"out": ""}, "is not a dump", ()),
    ],
)
def test_a_failed_or_invalid_dump_is_refused(
    app: App, programs: Programs, answer: dict[str, Any], said: str, output: tuple[str, ...]
) -> None:
    programs.answer("docker ps *", RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", **answer)
    app.data("data/file")
    with pytest.raises(Failure, match=said) as raised:
        backup.backup(app.release(backup=Backup(paths=("data",), postgres=(DATABASE,))), "release")
    assert raised.value.output == output
    assert list(app.paths.backups.iterdir()) == []


def test_a_dump_without_its_end_is_refused(app: App, programs: Programs) -> None:
    """pg_dump has said that all is well: only reading the whole dump shows it."""
    programs.answer("docker ps *", RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", "PGDMP and a half")
    error = "pg_restore: error: could not read from input file: end of file\n"
    programs.answer("docker exec -i c0ffee pg_restore -f /dev/null", status=1, err=error)
    with pytest.raises(Failure, match="reading the dump of PostgreSQL database shop") as raised:
        backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")
    assert raised.value.output == (error.strip(),)
    assert list(app.paths.backups.iterdir()) == []


def test_a_dump_without_an_end_does_not_fill_the_disk(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    programs.answer("docker ps *", RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", "PGDMP", then="yes")
    monkeypatch.setattr(stored, "room", lambda path: 3 << 20)
    with pytest.raises(Failure, match=r"pg_dump of .* shop: more than 3 MB"):
        backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")
    assert list(app.paths.backups.iterdir()) == []


@pytest.mark.parametrize("answer", ["9" * 5000, "-1", "٣", "1e9", "", "1\n2"])
def test_a_size_that_is_none_is_not_used(app: App, programs: Programs, answer: str) -> None:
    programs.answer("docker exec c0ffee psql *", answer)
    server = postgres.Server("c0ffee", "shop", "ada", NOWHERE)
    assert server.bytes() == 0


def test_a_stopped_database_fails_a_first_backup_too(app: App, programs: Programs) -> None:
    programs.answer("docker ps *", "c0ffee exited False\n")
    with pytest.raises(Failure, match="db is exited: its database cannot be read"):
        backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")


def test_a_damaged_plan_of_the_current_release_does_not_prevent_a_backup(app: App) -> None:
    """Its declared data is unknown: existing data is saved, and the log has a warning."""
    app.data("files/a")
    before = app.release(OLD, is_current=True, backup=Backup(paths=("files", "gone")))
    before.paths.plan.write_text("{")
    release = app.release(backup=Backup(paths=("files", "gone")))
    assert list(saved(app, backup.backup(release, "migrate")))
    assert (
        "warning: cannot read the backups of the previous release" in release.paths.log.read_text()
    )
