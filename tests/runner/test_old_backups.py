"""A backup of an earlier version; and backups on a host that lost everything else."""

from __future__ import annotations

import os
import shutil
from pathlib import Path

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import backup, stored
from gpuhost.runner.stages.restore import restore
from tests.runner.host_fixtures import NEW, OLD, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    ALL,
    NOW,
    THEN,
    Activation,
    a_backup,
    activated,
    app_data,
    database,
    left_over,
    state,
)

__all__ = ["activated", "app", "programs"]

RECORDED = Path(__file__).with_name("recorded") / "20261101-033000-schedule"
root = pytest.mark.skipif(os.getuid() != 0, reason="root is the owner of the recorded files")


def an_old_backup(app: App, name: str = RECORDED.name) -> str:
    shutil.copytree(RECORDED, app.paths.backups / name)
    return name


def an_app_with_other_data(app: App, keep: int = 7) -> None:
    database(app, "now", wal=True)
    app.data("public/audio/now.mp3", "now")
    app.data("settings.json", "now")
    declared = ALL.__class__(sqlite=ALL.sqlite, paths=ALL.paths, keep=keep)
    app.release(NEW, backup=declared, is_current=True)


@root
def test_a_backup_of_an_earlier_version_is_restored(app: App, activated: Activation) -> None:
    an_app_with_other_data(app)
    ended = restore(app.paths, an_old_backup(app), "ada")
    assert (ended.state, state(app), left_over(app)) == ("verified", THEN, [])
    assert (app.paths.shared / "data/app.db").stat().st_mode & 0o777 == 0o644


def test_backups_of_an_earlier_version_are_the_oldest(app: App, activated: Activation) -> None:
    an_app_with_other_data(app, keep=2)
    first, second = an_old_backup(app, "20261101-033000-schedule.2"), an_old_backup(app)
    assert [one.name for one in stored.complete(app.paths)] == [second, first]
    release = app.release(OLD, backup=ALL)
    one = backup.backup(release, "schedule")
    assert [b.name for b in stored.complete(app.paths)] == [second, first, one]
    current = app.release("20260103-000000-c", backup=ALL.__class__(paths=ALL.paths, keep=2))
    two = backup.backup(current, "schedule")
    assert [(b.name, b.manifest.sequence) for b in stored.complete(app.paths)] == [
        (one, 1),
        (two, 2),
    ]


def test_backups_are_restored_on_a_host_that_has_only_them(
    app: App, activated: Activation, programs: Programs, tmp_path: Path
) -> None:
    """The steps of docs/restore.md: release the app, copy backups/, restore."""
    name = a_backup(app)
    new = App(AppPaths(tmp_path / "elsewhere/app"))
    new.paths.home.mkdir(parents=True)
    activated.app = new
    an_app_with_other_data(new)
    assert state(new) == NOW
    backup.backup(new.release(OLD, backup=ALL), "schedule")
    shutil.copytree(app.paths.backups, new.paths.backups, dirs_exist_ok=True)
    shutil.rmtree(app.paths.home)
    ended = restore(new.paths, name, "ada")
    assert (ended.state, ended.said, state(new), left_over(new)) == ("verified", "", THEN, [])
    assert activated.seen == ["then"]
    # The next backup is the newest.
    made = backup.backup(new.release("20260103-000000-c", backup=ALL), "schedule")
    assert stored.complete(new.paths)[-1].name == made
    assert app_data(new) == "then"


def test_a_backup_that_is_still_copied_is_neither_counted_nor_deleted(app: App) -> None:
    half = app.paths.backups / an_old_backup(app)
    (half / "manifest.json").unlink()
    app.data("settings.json", "now")
    release = app.release(backup=ALL.__class__(paths=("settings.json",), keep=1))
    name = backup.backup(release, "schedule")
    assert [one.name for one in stored.complete(app.paths)] == [name]
    assert sorted(path.name for path in half.iterdir()) == sorted(
        path.name for path in RECORDED.iterdir() if path.name != "manifest.json"
    )
    assert f"backup {half.name}: its manifest cannot be read" in release.paths.log.read_text()
