"""When a backup is taken: before a migration, on a schedule; what has to be there for it."""

from __future__ import annotations

import fcntl
import shutil
import stat
from collections import namedtuple
from collections.abc import Callable, Iterator
from contextlib import contextmanager

import pytest

from gpuhost.runner.contract import AppPaths, Operation
from gpuhost.runner.data import backup, scheduled_backup, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Backup, Migrate
from gpuhost.runner.state import lock, operations
from tests.runner.at_hand import NEW, OLD, App, Programs, app, programs
from tests.runner.backup_at_hand import DATABASE, DB, a_database, saved

__all__ = ["app", "programs"]

ALL = Backup(sqlite=(DB,), paths=("data/audio",), postgres=(DATABASE,))


def test_nothing_there_yet_is_said_and_no_error(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    release = app.release(backup=ALL, migrate=Migrate("migrate"))
    backup.before_migration(release)
    assert (release.record.backup, release.record.nothing_to_back_up) == ("", True)
    logged = release.paths.log.read_text()
    assert logged.count("does not exist yet") == 3


def test_what_is_there_is_saved_though_the_rest_is_not(app: App, programs: Programs) -> None:
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
    assert [one.name for one in stored.complete(app.paths)] == [first]
    shutil.rmtree(app.paths.backups / first)
    backup.before_migration(release)
    assert [one.name for one in stored.complete(app.paths)] == [release.record.backup]


def test_backups_are_closed_and_name_what_ran(app: App) -> None:
    app.data("data/file")
    app.release(OLD, is_current=True)
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "release")
    home = app.paths.backups / name
    modes = {stat.S_IMODE(path.stat().st_mode) for path in home.iterdir()}
    assert (stat.S_IMODE(home.stat().st_mode), modes) == (0o700, {0o600})
    assert stored.find(app.paths, name).manifest.release == OLD


def test_a_full_disk_is_said_before_anything_is_written(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("data/file", "x" * 1000)
    usage = namedtuple("usage", "free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(backup.RESERVE + 999))
    release = app.release(backup=Backup(paths=("data",)))
    with pytest.raises(Failure, match="not enough disk space for a backup"):
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


def test_the_scheduled_one_is_of_the_release_that_runs(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",)), is_current=True)
    app.release(NEW)
    name = scheduled_backup.run_scheduled(app.paths)
    assert name.endswith("-schedule")
    assert stored.find(app.paths, name).manifest.release == OLD
    assert name in (app.paths.backups / "last.log").read_text()


def test_the_scheduled_one_waits_for_a_release_and_then_gives_up(app: App) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    with app.paths.lock.open("a") as held:
        fcntl.flock(held, fcntl.LOCK_EX)
        with pytest.raises(lock.Locked):
            scheduled_backup.run_scheduled(app.paths)
    assert stored.complete(app.paths) == []


def cut_off_in_a_release(app: App) -> None:
    operations.begin(app.paths, Operation("release", NEW, "ada@desk", 0.5))


def cut_off_in_a_restore(app: App) -> None:
    app.paths.restore.mkdir()
    write_json(app.paths.restoring, {"backup": "20260101-000000-release", "aside": "a"})


@pytest.mark.parametrize(
    ("cut_off", "said"),
    [
        (cut_off_in_a_release, f"still in progress: release {NEW} by ada@desk, since 1970-01-01"),
        (cut_off_in_a_restore, "still in progress: a restore"),
    ],
)
def test_the_scheduled_one_leaves_the_lock_to_whoever_takes_up_what_was_cut_off(
    app: App, monkeypatch: pytest.MonkeyPatch, cut_off: Callable[[App], None], said: str
) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)
    cut_off(app)
    monkeypatch.setattr(scheduled_backup, "lock", None)
    with pytest.raises(lock.Locked):
        scheduled_backup.run_scheduled(app.paths)
    assert said in (app.paths.backups / "last.log").read_text()


def test_the_scheduled_one_sees_what_was_begun_before_it_had_the_lock(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("data/file")
    app.release(OLD, backup=Backup(paths=("data",), limit_s=0), is_current=True)

    @contextmanager
    def begun_just_before(paths: AppPaths) -> Iterator[None]:
        cut_off_in_a_release(app)
        with lock.lock(paths):
            yield

    monkeypatch.setattr(scheduled_backup, "lock", begun_just_before)
    with pytest.raises(lock.Locked):
        scheduled_backup.run_scheduled(app.paths)
    assert stored.complete(app.paths) == []


@pytest.mark.parametrize(
    ("declared", "said"), [(None, "app declares no backup"), (False, "has no verified release")]
)
def test_nothing_to_back_up_on_a_schedule_is_a_failure(
    app: App, declared: Backup | None, said: str
) -> None:
    if declared is None:
        app.release(OLD, is_current=True)
    with pytest.raises(Failure, match=said):
        scheduled_backup.run_scheduled(app.paths)
