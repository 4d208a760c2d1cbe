"""Backups: whole while the app writes, good or not there, kept as long as somebody needs them."""

from __future__ import annotations

import fcntl
import json
import os
import shutil
import sqlite3
import stat
import tarfile
import threading
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import closing, contextmanager
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner import backup, lock, stored
from gpuhost.runner.failure import Failure
from gpuhost.runner.plan import Backup, Directory, Migrate, Postgres
from tests.runner.at_hand import ME, NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

DB = "data/app.db"
DATABASE = Postgres("db", "shop", "ada")
RUNNING = "c0ffee running False\n"
root = pytest.mark.skipif(os.getuid() != 0, reason="only root gives files away")


def a_database(path: Path, *, mode: str = "wal", rows: int = 100) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    with closing(sqlite3.connect(path)) as database, database:
        database.execute(f"PRAGMA journal_mode={mode}")
        database.execute("CREATE TABLE pairs (left INTEGER, right INTEGER)")
        database.executemany("INSERT INTO pairs VALUES (?, ?)", ((n, n) for n in range(rows)))


def rows(path: Path, where: str = "1") -> int:
    with closing(sqlite3.connect(f"file:{path}?mode=ro", uri=True)) as database:
        return int(database.execute(f"SELECT count(*) FROM pairs WHERE {where}").fetchone()[0])


@contextmanager
def writer(path: Path) -> Iterator[threading.Event]:
    """Somebody who changes both columns of every row, in one transaction after the other."""
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


def saved(app: App, name: str) -> dict[str, Path]:
    """Name of an item to its file."""
    found = stored.one(app.paths, name)
    return {item.name: found.home / item.file for item in found.manifest.items}


@pytest.mark.parametrize("mode", ["wal", "delete"])
def test_a_database_is_consistent_while_somebody_writes(app: App, mode: str) -> None:
    path = app.paths.shared / DB
    a_database(path, mode=mode, rows=20_000)
    with writer(path) as wrote:
        name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
        # The copy let it go on.
        wrote.clear()
        assert wrote.wait(60)
    copy = saved(app, name)[DB]
    assert sorted(path.name for path in copy.parent.iterdir()) == [copy.name, "manifest.json"]
    assert (rows(copy), rows(copy, "left != right")) == (20_000, 0)


def test_what_is_only_in_the_wal_is_in_the_copy(app: App) -> None:
    path = app.paths.shared / DB
    a_database(path)
    with closing(sqlite3.connect(path)) as open_one:
        open_one.execute("INSERT INTO pairs VALUES (-1, -1)")
        open_one.commit()
        assert path.with_name("app.db-wal").stat().st_size > 0
        name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert rows(saved(app, name)[DB]) == 101


@root
def test_the_app_can_write_on_after_root_has_read_its_database(app: App) -> None:
    path = app.paths.shared / DB
    a_database(path)
    for one in (path, path.parent):
        os.chown(one, 1001, 1001)
    name = backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    item = stored.one(app.paths, name).manifest.items[0]
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
    ("damage", "found"),
    [(overwritten, "database disk image is malformed"), (inconsistent, "NULL value in pairs.left")],
)
def test_a_damaged_database_is_no_backup(
    app: App, damage: Callable[[Path], None], found: str
) -> None:
    path = app.paths.shared / DB
    a_database(path, mode="delete", rows=5000)
    damage(path)
    with pytest.raises(Failure, match=r"data/app\.db is damaged") as raised:
        backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert found in raised.value.output
    assert list(app.paths.backups.iterdir()) == []


def test_something_else_than_a_database_is_no_backup(app: App) -> None:
    app.data(DB, "not a database, but long enough to look at " * 100)
    with pytest.raises(Failure, match=r"data/app\.db cannot be copied: file is not a database"):
        backup.backup(app.release(backup=Backup(sqlite=(DB,))), "release")
    assert list(app.paths.backups.iterdir()) == []


@root
def test_files_are_packed_with_owners_modes_and_links_but_no_database(app: App) -> None:
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


def test_a_path_in_another_is_packed_once(app: App) -> None:
    app.data("public/audio/a", "a")
    declared = Backup(paths=("public/audio", "public", "public/audio/a"))
    assert list(saved(app, backup.backup(app.release(backup=declared), "release"))) == ["public"]


def test_a_link_of_a_person_is_followed_and_one_of_the_app_is_not(app: App, tmp_path: Path) -> None:
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


def test_a_dump_comes_from_the_running_container(app: App, programs: Programs) -> None:
    programs.answer("docker ps *", "0ddb0y exited True\n" + RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", "PGDMP and more")
    programs.answer("docker exec c0ffee psql *", "4096\n")
    name = backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")
    item = stored.one(app.paths, name).manifest.items[0]
    assert (app.paths.backups / name / item.file).read_text() == "PGDMP and more"
    assert (item.service, item.database, item.user) == ("db", "shop", "ada")
    assert item.unpacked == 4096
    assert "docker exec c0ffee pg_dump -w -Fc -U ada shop" in programs.calls


@pytest.mark.parametrize(
    ("answer", "said", "output"),
    [
        ({"out": "PGDMP", "status": 1, "err": "FATAL: no role\n"}, "failed", ("FATAL: no role",)),
        ({"out": "pg_dump: nothing"}, "is no dump", ()),
        ({"out": ""}, "is no dump", ()),
    ],
)
def test_a_dump_that_is_none_is_no_backup(
    app: App, programs: Programs, answer: dict[str, Any], said: str, output: tuple[str, ...]
) -> None:
    programs.answer("docker ps *", RUNNING)
    programs.answer("docker exec c0ffee pg_dump *", **answer)
    app.data("data/file")
    with pytest.raises(Failure, match=said) as raised:
        backup.backup(app.release(backup=Backup(paths=("data",), postgres=(DATABASE,))), "release")
    assert raised.value.output == output
    assert list(app.paths.backups.iterdir()) == []


def test_a_database_that_has_stopped_is_a_failure_also_at_first(
    app: App, programs: Programs
) -> None:
    programs.answer("docker ps *", "c0ffee exited False\n")
    with pytest.raises(Failure, match="db is exited: its database cannot be read"):
        backup.backup(app.release(backup=Backup(postgres=(DATABASE,))), "release")


ALL = Backup(sqlite=(DB,), paths=("data/audio",), postgres=(DATABASE,))


def test_nothing_there_yet_is_said_and_no_error(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    release = app.release(backup=ALL, migrate=Migrate("migrate"))
    backup.before_migration(release)
    assert (release.record.backup, release.record.nothing_to_back_up) == ("", True)
    logged = release.paths.log.read_text()
    assert logged.count("nothing there yet") == 4


def test_what_is_there_is_saved_though_the_rest_is_not(app: App, programs: Programs) -> None:
    app.data("data/audio/a")
    release = app.release(backup=ALL, migrate=Migrate("migrate"))
    backup.before_migration(release)
    assert list(saved(app, release.record.backup)) == ["data/audio"]
    assert not release.record.nothing_to_back_up


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (Backup(sqlite=(DB,)), "data/app.db is not there"),
        (Backup(paths=("data/audio",)), "data/audio is not there"),
        (Backup(postgres=(DATABASE,)), "db/shop is not there"),
    ],
)
def test_what_a_verified_release_declares_has_to_be_there(
    app: App, programs: Programs, declared: Backup, said: str
) -> None:
    app.data("data/file")
    app.release(OLD, backup=declared, is_current=True)
    with pytest.raises(Failure, match=said):
        backup.backup(app.release(backup=declared), "release")
    app.release("20260103-000000-c", backup=Backup(), is_current=True)
    assert backup.backup(app.release("20260104-000000-d", backup=declared), "release") == ""


def test_no_backup_without_a_migration(app: App) -> None:
    app.data("data/audio/a")
    backup.before_migration(app.release(OLD, backup=Backup(paths=("data",))))
    backup.before_migration(app.release(NEW, migrate=Migrate("migrate")))
    assert not app.paths.backups.exists()


def test_a_stage_that_is_done_again_takes_no_second_one(app: App) -> None:
    app.data("data/audio/a")
    release = app.release(backup=Backup(paths=("data",)), migrate=Migrate("migrate"))
    backup.before_migration(release)
    first = release.record.backup
    backup.before_migration(release)
    assert [one.name for one in stored.good(app.paths)] == [first]
    shutil.rmtree(app.paths.backups / first)
    backup.before_migration(release)
    assert [one.name for one in stored.good(app.paths)] == [release.record.backup]


def test_backups_are_closed_and_name_what_ran(app: App) -> None:
    app.data("data/file")
    app.release(OLD, is_current=True)
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "release")
    home = app.paths.backups / name
    modes = {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert (stat.S_IMODE(home.stat().st_mode), modes) == (0o700, {0o600})
    assert stored.one(app.paths, name).manifest.release == OLD


def test_a_full_disk_is_said_before_anything_is_written(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("data/file", "x" * 1000)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(backup.RESERVE + 999))
    release = app.release(backup=Backup(paths=("data",)))
    with pytest.raises(Failure, match="no room for a backup"):
        backup.backup(release, "release")
    assert list(app.paths.backups.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(backup.RESERVE + 1000))
    assert backup.backup(release, "release")


def test_a_backup_that_takes_too_long_is_given_up(app: App) -> None:
    a_database(app.paths.shared / DB)
    for declared in (Backup(sqlite=(DB,), limit_s=0), Backup(paths=("data",), limit_s=0)):
        with pytest.raises(Failure, match=r"backup\.limit_s is over"):
            backup.backup(app.release(f"{OLD}{declared.sqlite == ()}", backup=declared), "release")
    assert list(app.paths.backups.iterdir()) == []


def a_stored(app: App, name: str, *, is_good: bool = True) -> Path:
    home = app.paths.backups / name
    home.mkdir(parents=True)
    (home / "1-data.tar.gz").write_text("x")
    if is_good:
        manifest = {"app": "app", "release": "", "reason": "schedule", "taken": 0.0, "items": []}
        (home / "manifest.json").write_text(json.dumps(manifest))
    return home


def test_half_a_backup_is_none_and_goes_with_the_next(app: App) -> None:
    app.data("data/file")
    a_stored(app, "20260101-000000-schedule", is_good=False)
    damaged = a_stored(app, "20260102-000000-schedule")
    (damaged / "manifest.json").write_text('{"app": ')
    aside = app.paths.backups / "before-restore-20260101-000000"
    aside.mkdir()
    assert stored.good(app.paths) == []
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "schedule")
    assert sorted(path.name for path in app.paths.backups.iterdir()) == sorted([name, aside.name])


def test_old_backups_go_but_not_those_that_a_release_refers_to(app: App) -> None:
    app.data("data/file")
    names = [f"2026010{day}-000000-schedule" for day in range(1, 6)]
    for name in names:
        a_stored(app, name)
    with_result = app.release(OLD)
    with_result.paths.result.write_text(json.dumps({"backup": names[0]}))
    release = app.release(backup=Backup(paths=("data",), keep=2))
    release.remember(backup=names[2])
    new = backup.backup(release, "release")
    kept = [one.name for one in stored.good(app.paths)]
    assert kept == [names[0], names[2], names[4], new]


def test_two_backups_in_one_second_are_two(app: App) -> None:
    app.data("data/file")
    release = app.release(backup=Backup(paths=("data",)))
    names = {backup.backup(release, "release") for _ in range(3)}
    assert {one.name for one in stored.good(app.paths)} == names
    assert len(names) == 3


@pytest.mark.parametrize("damage", ["change", "cut", "remove"])
def test_a_damaged_file_is_found(app: App, damage: str) -> None:
    app.data("data/file", "text")
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "release")
    found = stored.one(app.paths, name)
    stored.proven(found)
    file = saved(app, name)["data"]
    if damage == "remove":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + (b"" if damage == "cut" else b"\x55"))
    with pytest.raises(Failure, match="damaged or missing"):
        stored.proven(found)


def test_an_unknown_backup_is_answered_with_those_there_are(app: App) -> None:
    for name in ("20260101-000000-schedule", "20260102-000000-release"):
        a_stored(app, name)
    with pytest.raises(Failure) as raised:
        stored.one(app.paths, "../app")
    assert raised.value.said.endswith(
        "there are: 20260102-000000-release, 20260101-000000-schedule"
    )


def test_the_scheduled_one_is_of_the_release_that_runs(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",)), is_current=True)
    app.release(NEW)
    name = backup.scheduled(app.paths)
    assert name.endswith("-schedule")
    assert stored.one(app.paths, name).manifest.release == OLD
    assert name in (app.paths.backups / "last.log").read_text()


def test_the_scheduled_one_waits_for_a_release_and_then_gives_up(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    with app.paths.lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(lock.Locked):
            backup.scheduled(app.paths)
    assert stored.good(app.paths) == []


@pytest.mark.parametrize(
    ("declared", "said"), [(None, "app declares no backup"), (False, "has no verified release")]
)
def test_nothing_to_back_up_on_a_schedule_is_a_failure(
    app: App, declared: Backup | None, said: str
) -> None:
    if declared is None:
        app.release(OLD, is_current=True)
    with pytest.raises(Failure, match=said):
        backup.scheduled(app.paths)
