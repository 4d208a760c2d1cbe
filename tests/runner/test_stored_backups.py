"""Stored backups: complete or ignored, kept as long as they are needed."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhost.runner.data import backup, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup
from tests.runner.backup_fixtures import saved
from tests.runner.host_fixtures import OLD, App, app, programs

__all__ = ["app", "programs"]


def a_stored_backup(app: App, name: str, *, is_good: bool = True) -> Path:
    home = app.paths.backups / name
    home.mkdir(parents=True)
    (home / "1-data.tar.gz").write_text("x")
    if is_good:
        manifest = {"app": "app", "release": "", "reason": "schedule", "taken": 0.0, "items": []}
        (home / "manifest.json").write_text(json.dumps(manifest))
    return home


def test_an_incomplete_backup_is_ignored_and_removed_by_the_next(app: App) -> None:
    app.data("data/file")
    a_stored_backup(app, "20260101-000000-schedule", is_good=False)
    aside = app.paths.backups / "before-restore-20260101-000000"
    aside.mkdir()
    assert stored.complete(app.paths) == []
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "schedule")
    assert sorted(path.name for path in app.paths.backups.iterdir()) == sorted([name, aside.name])


@pytest.mark.parametrize("manifest", ['{"app": ', '{"app": "app", "taken": "of another version"}'])
def test_a_backup_with_an_unreadable_manifest_is_not_removed(app: App, manifest: str) -> None:
    app.data("data/file")
    unreadable = a_stored_backup(app, "20260102-000000-schedule")
    (unreadable / "manifest.json").write_text(manifest)
    assert stored.complete(app.paths) == []
    release = app.release(backup=Backup(paths=("data",), keep=1))
    backup.backup(release, "schedule")
    assert (unreadable / "1-data.tar.gz").exists()
    assert f"{unreadable.name}: its manifest cannot be read" in release.paths.log.read_text()


def test_old_backups_are_removed_unless_they_are_referenced(app: App) -> None:
    app.data("data/file")
    names = [f"2026010{day}-000000-schedule" for day in range(1, 6)]
    for name in names:
        a_stored_backup(app, name)
    with_result = app.release(OLD)
    with_result.paths.result.write_text(json.dumps({"backup": names[0]}))
    release = app.release(backup=Backup(paths=("data",), keep=2))
    release.remember(backup=names[2])
    app.paths.restore.mkdir()
    app.paths.restoring.write_text(json.dumps({"backup": names[3]}))
    new = backup.backup(release, "release")
    kept = [one.name for one in stored.complete(app.paths)]
    assert kept == [names[0], names[2], names[3], names[4], new]


def test_backups_of_the_same_second_have_different_names(app: App) -> None:
    app.data("data/file")
    release = app.release(backup=Backup(paths=("data",)))
    names = {backup.backup(release, "release") for _ in range(3)}
    assert {one.name for one in stored.complete(app.paths)} == names
    assert len(names) == 3


@pytest.mark.parametrize("damage", ["change", "cut", "remove"])
def test_a_damaged_or_missing_file_is_detected(app: App, damage: str) -> None:
    app.data("data/file", "text")
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "release")
    stored_backup = stored.find(app.paths, name)
    stored.require_intact(stored_backup)
    file = saved(app, name)["data"]
    if damage == "remove":
        file.unlink()
    else:
        content = file.read_bytes()
        file.write_bytes(content[:-1] + (b"" if damage == "cut" else b"\x55"))
    with pytest.raises(Failure, match="damaged or missing"):
        stored.require_intact(stored_backup)


def test_an_unknown_backup_lists_the_existing_ones(app: App) -> None:
    for name in ("20260101-000000-schedule", "20260102-000000-release"):
        a_stored_backup(app, name)
    with pytest.raises(Failure) as raised:
        stored.find(app.paths, "../app")
    assert raised.value.said.endswith(
        "there are: 20260102-000000-release, 20260101-000000-schedule"
    )
