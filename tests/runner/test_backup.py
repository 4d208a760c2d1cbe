"""When a backup is taken: before a migration and on a schedule; the data it requires."""

from __future__ import annotations

import fcntl
import shutil
import stat
from collections import namedtuple

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.data import backup, scheduled_backup, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup, Migrate
from gpuhost.runner.state import lock, operations
from tests.runner.backup_fixtures import DATABASE, DB, a_database, saved
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

ALL = Backup(sqlite=(DB,), paths=("data/audio",), postgres=(DATABASE,))


def test_without_data_the_log_says_so_and_nothing_fails(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    release = app.release(backup=ALL, migrate=Migrate("migrate"))
    backup.before_migration(release)
    assert (release.record.backup, release.record.nothing_to_back_up) == ("", True)
    logged = release.paths.log.read_text()
    assert logged.count("does not exist yet") == 3


def test_existing_data_is_saved_if_the_rest_is_missing(app: App, programs: Programs) -> None:
    app.data("data/audio/a")
    release = app.release(backup=ALL, migrate=Migrate("migrate"))
    backup.before_migration(release)
    assert list(saved(app, release.record.backup)) == ["data/audio"]
    assert not release.record.nothing_to_back_up


@pytest.mark.parametrize(
    ("declared", "said"),
    [
        (Backup(sqlite=(DB,)), "data/app.db does not exist"),
        (Backup(paths=("data/audio",)), "data/audio does not exist"),
        (Backup(postgres=(DATABASE,)), "db/shop does not exist"),
    ],
)
def test_data_that_a_verified_release_declares_must_exist(
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


def test_a_repeated_stage_takes_no_second_backup(app: App) -> None:
    app.data("data/audio/a")
    release = app.release(backup=Backup(paths=("data",)), migrate=Migrate("migrate"))
    backup.before_migration(release)
    first = release.record.backup
    backup.before_migration(release)
    assert [one.name for one in stored.complete(app.paths)] == [first]
    shutil.rmtree(app.paths.backups / first)
    backup.before_migration(release)
    assert [one.name for one in stored.complete(app.paths)] == [release.record.backup]


def test_a_backup_is_readable_by_root_only_and_names_the_release_that_ran(app: App) -> None:
    app.data("data/file")
    app.release(OLD, is_current=True)
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "release")
    home = app.paths.backups / name
    modes = {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert (stat.S_IMODE(home.stat().st_mode), modes) == (0o700, {0o600})
    assert stored.find(app.paths, name).manifest.release == OLD


def test_too_little_disk_space_fails_before_anything_is_written(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("data/file", "x" * 1000)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(stored.RESERVE + 999))
    release = app.release(backup=Backup(paths=("data",)))
    with pytest.raises(Failure, match="not enough disk space for a backup"):
        backup.backup(release, "release")
    assert list(app.paths.backups.iterdir()) == []
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(stored.RESERVE + 1000))
    assert backup.backup(release, "release")


def test_a_backup_over_its_time_limit_fails(app: App) -> None:
    a_database(app.paths.shared / DB)
    for declared in (Backup(sqlite=(DB,), limit_s=0), Backup(paths=("data",), limit_s=0)):
        with pytest.raises(Failure, match=r"within backup\.limit_s"):
            backup.backup(app.release(f"{OLD}{declared.sqlite == ()}", backup=declared), "release")
    assert list(app.paths.backups.iterdir()) == []


def nothing_left() -> None:
    """No other verb left anything unfinished."""


def test_a_scheduled_backup_is_of_the_current_release(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",)), is_current=True)
    app.release(NEW)
    name = scheduled_backup.run_scheduled(app.paths, nothing_left)
    assert name.endswith("-schedule")
    assert stored.find(app.paths, name).manifest.release == OLD
    assert name in (app.paths.backups / "last.log").read_text()


def test_the_log_of_a_scheduled_backup_says_why_it_failed(app: App) -> None:
    app.release(OLD, backup=Backup(paths=("data",)), is_current=True)
    with pytest.raises(Failure):
        scheduled_backup.run_scheduled(app.paths, nothing_left)
    log = (app.paths.backups / "last.log").read_text()
    assert "no backup was made: data does not exist, but the current release declares it" in log
    assert "-> find out why it is gone" in log


def test_a_scheduled_backup_waits_for_a_release_up_to_its_limit(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    with app.paths.lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(lock.Locked):
            scheduled_backup.run_scheduled(app.paths, nothing_left)
    assert stored.complete(app.paths) == []


def test_a_scheduled_backup_leaves_the_lock_while_it_waits_for_an_interrupted_operation(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",)), is_current=True)
    operations.begin(app.paths, Operation("release", NEW, "ada@desk", 0.5))
    monkeypatch.setattr(scheduled_backup, "PAUSE", 0)
    looks = 0

    def end_unfinished() -> None:
        nonlocal looks
        looks += 1
        if looks == 1:
            raise lock.Interrupted(operations.begun(app.paths) or none, "release")
        assert lock.is_locked(app.paths)

    none = Operation("", "", "", 0)
    name = scheduled_backup.run_scheduled(app.paths, end_unfinished)
    assert (looks, [each.name for each in stored.complete(app.paths)]) == (2, [name])


@pytest.mark.parametrize(
    ("declared", "said"), [(None, "app declares no backup"), (False, "has no verified release")]
)
def test_a_scheduled_backup_without_anything_declared_fails(
    app: App, declared: Backup | None, said: str
) -> None:
    if declared is None:
        app.release(OLD, is_current=True)
    with pytest.raises(Failure, match=said):
        scheduled_backup.run_scheduled(app.paths, nothing_left)
