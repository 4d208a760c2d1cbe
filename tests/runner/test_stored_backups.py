"""Stored backups: complete or ignored, kept as long as they are needed."""

from __future__ import annotations

import errno
import json
from pathlib import Path

import pytest

from gpuhost.runner.data import backup, sqlite_copy, stored
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup
from tests.runner.backup_fixtures import DATABASE, DB, a_database, saved
from tests.runner.host_fixtures import OLD, App, Programs, app, programs

__all__ = ["app", "programs"]


def a_stored_backup(app: App, name: str) -> Path:
    home = app.paths.backups / name
    home.mkdir(parents=True)
    (home / "1-data.tar.gz").write_text("x")
    manifest = {"app": "app", "release": "", "reason": "schedule", "taken": 0.0, "items": []}
    (home / "manifest.json").write_text(json.dumps(manifest))
    return home


def test_a_partial_backup_is_ignored_and_removed_by_the_next(app: App) -> None:
    app.data("data/file")
    a_stored_backup(app, ".20260101-000000-schedule.partial")
    aside = app.paths.backups / "before-restore-20260101-000000"
    aside.mkdir()
    assert stored.complete(app.paths) == []
    name = backup.backup(app.release(backup=Backup(paths=("data",))), "schedule")
    assert sorted(path.name for path in app.paths.backups.iterdir()) == sorted([name, aside.name])


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
        "existing ones: 20260102-000000-release, 20260101-000000-schedule"
    )


def test_the_manifest_says_how_each_file_was_verified(app: App, programs: Programs) -> None:
    a_database(app.paths.shared / DB)
    app.data("data/audio/a")
    programs.answer("docker ps *", "c0ffee running False\n")
    programs.answer("docker exec c0ffee pg_dump *", "PGDMP")
    declared = Backup(sqlite=(DB,), paths=("data/audio",), postgres=(DATABASE,))
    name = backup.backup(app.release(backup=declared), "release")
    manifest = stored.find(app.paths, name).manifest
    verified = [item.verified for item in manifest.items]
    assert verified == ["integrity_check", "2 entries read", "pg_restore"]
    assert manifest.sequence == 1


def damaged_on_disk(path: Path) -> None:
    """Another byte than was written, in the middle."""
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))


# The same in the process that checks the copy of a database, once that is on the disk.
DAMAGE = """
import os, pathlib
def damage(number, *rest):
    path = pathlib.Path(os.readlink(f"/proc/self/fd/{number}"))
    content = bytearray(path.read_bytes())
    content[len(content) // 2] ^= 1
    path.write_bytes(bytes(content))
os.posix_fadvise = damage
"""


@pytest.mark.parametrize(
    "declared", [Backup(sqlite=(DB,), keep=1), Backup(paths=("data",), keep=1)]
)
def test_a_backup_that_the_disk_damages_is_not_counted(
    app: App, monkeypatch: pytest.MonkeyPatch, declared: Backup
) -> None:
    a_database(app.paths.shared / DB, mode="delete", rows=5000)
    good = backup.backup(app.release(OLD, backup=declared), "schedule")
    settle = stored.settle

    def settle_and_damage(path: Path) -> None:
        settle(path)
        damaged_on_disk(path)

    monkeypatch.setattr(stored, "settle", settle_and_damage)
    monkeypatch.setattr(sqlite_copy, "CHILD", f"{DAMAGE}\n{sqlite_copy.CHILD}")
    with pytest.raises(Failure, match=r"is damaged|is not what was written|cannot be unpacked"):
        backup.backup(app.release(backup=declared), "schedule")
    assert [path.name for path in app.paths.backups.iterdir()] == [good]


@pytest.mark.parametrize("keep", [1, 2])
def test_a_full_disk_leaves_no_partial_backup_and_removes_none(
    app: App, monkeypatch: pytest.MonkeyPatch, keep: int
) -> None:
    app.data("data/file", "x" * 1000)
    declared = Backup(paths=("data",), keep=keep)
    good = backup.backup(app.release(OLD, backup=declared), "schedule")

    def full(*_: object, **__: object) -> None:
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr(stored, "write_json", full)
    with pytest.raises(Failure, match=r"^backup: No space left on device$") as raised:
        backup.backup(app.release(backup=declared), "schedule")
    assert "df -h" in raised.value.fix
    assert [path.name for path in app.paths.backups.iterdir()] == [good]
