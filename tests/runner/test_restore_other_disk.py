"""Restoring data on another disk than gpuhost's: staged, kept and cleaned up there."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections import namedtuple
from collections.abc import Callable
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.data import backup, stored, tarball
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import DISK_FIX, Failure
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages import carry_out
from gpuhost.runner.stages.restore import paths, restore
from gpuhost.runner.stages.restore_leftovers import on_other_disks
from gpuhost.runner.state import operations
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, app, as_resolved, programs
from tests.runner.restore_fixtures import (
    NOW,
    THEN,
    Activation,
    Mount,
    a_backup,
    activated,
    app_data,
    database,
    disk,
    mounted,
    root,
    state,
)
from tests.runner.running import Cut

__all__ = ["activated", "app", "disk", "mounted", "programs"]

pytestmark = root
BAD = Failure("web: exited with 1")


def left_on(disk: Path) -> list[str]:
    return sorted(path.name for path in disk.rglob(".gpuhost-*"))


def log_of(app: App, name: str) -> str:
    return paths(app.paths, name).log.read_text()


def test_data_on_another_disk_is_set_aside_on_that_disk(
    app: App, activated: Activation, disk: Path
) -> None:
    name = a_backup(app)
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN
    kept = sorted(path.name for path in disk.rglob(".gpuhost-before-restore-*/*"))
    assert kept == ["app.db", "app.db-wal", "audio", "settings.json"]
    assert list(disk.rglob(".gpuhost-restore-*")) == []
    # The log, and the directory in backups/, lead there.
    places = set(disk.rglob(".gpuhost-before-*"))
    assert len(places) == 3
    assert all(str(place) in log_of(app, name) for place in places)
    (home,) = app.paths.backups.glob("before-restore-*")
    assert {path.readlink() for path in home.iterdir()} == places
    assert set(on_other_disks(app.paths)) == places


def test_on_another_disk_nothing_is_staged_where_a_container_can_write(
    app: App, activated: Activation, disk: Path
) -> None:
    name = a_backup(app)
    volume = {"type": "bind", "source": str(disk / "public"), "target": "/public"}
    as_resolved(Release.open(app.paths, NEW), {"web": {"volumes": [volume]}})
    assert restore(app.paths, name, "ada").state == "verified"
    kept = sorted(path.name for path in disk.glob(".gpuhost-before-restore-*/*"))
    assert kept == ["audio", "settings.json"]
    assert list(disk.rglob("public/.gpuhost*")) == []


@pytest.mark.parametrize("is_good", [True, False])
def test_backups_may_be_on_another_disk(
    app: App, activated: Activation, mounted: Mount, is_good: bool
) -> None:
    app.paths.backups.mkdir()
    mounted("-t", "tmpfs", "none", app.paths.backups)
    name = a_backup(app)
    activated.wrong = [] if is_good else [BAD]
    ended = restore(app.paths, name, "ada")
    expected = ("verified", THEN) if is_good else ("restored", NOW)
    assert (ended.state, state(app)) == expected
    kept = {path.parent for path in app.paths.shared.rglob(".gpuhost-*/*")}
    assert set(on_other_disks(app.paths)) == kept
    assert len(kept) == 3


def test_a_disk_that_cannot_be_written_is_named(
    app: App, activated: Activation, disk: Path
) -> None:
    name = a_backup(app)
    subprocess.run(["mount", "-o", "remount,ro", disk], check=True)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.fix) == ("failed", DISK_FIX)
    assert ended.said.startswith("the backup cannot be staged: ")
    assert ended.said.endswith("Read-only file system")


def little_room(disk: Path, monkeypatch: pytest.MonkeyPatch, free: Callable[[], int]) -> None:
    """Of this disk only."""
    usage, number = namedtuple("usage", "total free"), disk.stat().st_dev

    def disk_usage(place: int | Path) -> Any:
        state = os.fstat(place) if isinstance(place, int) else Path(place).stat()
        return usage(1 << 40, free() if state.st_dev == number else 1 << 40)

    monkeypatch.setattr(shutil, "disk_usage", disk_usage)


def test_the_space_of_each_disk_is_looked_at(
    app: App, activated: Activation, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    little_room(disk, monkeypatch, lambda: stored.RESERVE)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app), left_on(disk)) == ("failed", NOW, [])
    assert ended.said.startswith("not enough disk space")
    assert f"free on the disk of {disk}" in ended.said


@pytest.mark.parametrize("looks", range(3, 9))
def test_a_disk_that_becomes_full_while_data_is_unpacked(
    app: App, activated: Activation, disk: Path, monkeypatch: pytest.MonkeyPatch, looks: int
) -> None:
    name = a_backup(app)
    rest = [1 << 40] * looks
    little_room(disk, monkeypatch, lambda: rest.pop() if rest else 0)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app), left_on(disk)) == ("failed", NOW, [])
    assert "is nearly full: the restore was ended" in ended.said
    assert not app.paths.restore.exists()


def test_a_restore_leaves_inodes_to_the_app(
    app: App, activated: Activation, mounted: Mount, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.paths.shared.mkdir()
    mounted("-t", "tmpfs", "-o", "nr_inodes=300", "none", app.paths.shared)
    a_backup(app)
    for number in range(180):
        app.data(f"public/audio/{number}", "x")
    name = backup.backup(Release.open(app.paths, NEW), "schedule")
    free: list[int] = []
    real = DirectoryHandle.create

    def create(handle: DirectoryHandle, *words: Any) -> BinaryIO:
        free.append(os.statvfs(app.paths.shared).f_favail)
        return real(handle, *words)

    monkeypatch.setattr(DirectoryHandle, "create", create)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, "nearly no inodes left" in ended.said) == ("failed", True)
    assert ended.fix.startswith("free disk space first")
    assert min(free) >= 7
    assert left_on(app.paths.shared) == []


def test_a_small_disk_needs_less_room(app: App, activated: Activation, mounted: Mount) -> None:
    app.paths.shared.mkdir()
    mounted("-t", "tmpfs", "-o", "size=1m", "none", app.paths.shared)
    name = a_backup(app)
    assert restore(app.paths, name, "ada").state == "verified"
    free = shutil.disk_usage(app.paths.shared).free
    app.data("large").write_bytes(b"x" * (free - (16 << 10)))
    assert "not enough disk space" in restore(app.paths, name, "ada").said


@pytest.mark.parametrize("number", [1, 2])
@pytest.mark.parametrize("then", ["release", "restore"])
def test_a_stage_that_is_interrupted_leaves_nothing(
    app: App,
    activated: Activation,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    number: int,
    then: str,
) -> None:
    name = a_backup(app)
    real = tarball.unpack

    def unpack(source: Path, into: Path) -> str:
        name = real(source, into)
        if int(source.name[0]) >= number:
            raise Cut
        return name

    operations.begin(app.paths, Operation("restore", name, "ada", 7.0))
    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(tarball, "unpack", unpack)
        restore(app.paths, name, "ada")
    assert len(left_on(disk)) > 0
    assert state(app) == NOW
    if then == "release":
        # Its backup is gone: the restore ends.
        shutil.rmtree(app.paths.backups / name)
        carry_out.end_unfinished(app.paths, "release", "x")
    else:
        assert restore(app.paths, name, "ada").state == "verified"
        assert state(app) == THEN
    assert not [left for left in left_on(disk) if "before" not in left]


# Half of the renames of an undo: each takes a whole restore.
@pytest.mark.parametrize(("is_good", "step"), [(True, 1), (False, 2)])
def test_it_can_be_interrupted_before_a_rename(
    app: App,
    activated: Activation,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_good: bool,
    step: int,
) -> None:
    name = a_backup(app)
    real, count, at = os.rename, 0, 0

    def rename(*words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == at:
            raise Cut
        real(*words, **more)

    def activate(release: Release) -> None:
        if not is_good and app_data(app) == "then":
            raise BAD

    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    pristine = {path: path.with_name(f"{path.name}.pristine") for path in (disk, app.paths.backups)}
    for path, copy in pristine.items():
        shutil.copytree(path, copy)
    while count >= at:
        at, count = at + step, 0
        operations.begin(app.paths, Operation("restore", name, "ada", float(at)))
        with monkeypatch.context() as patched:
            patched.setattr(os, "rename", rename)
            while True:
                try:
                    ended = restore(app.paths, name, "ada")
                    break
                except Cut:
                    continue
        expected = ("verified", THEN) if is_good else ("restored", NOW)
        assert (ended.state, state(app)) == expected, at
        kept = sorted(path.name for path in disk.rglob(".gpuhost-*/*"))
        before = ["app.db", "app.db-wal", "audio", "settings.json"]
        undone = ["app.db", "audio", "settings.json"]
        assert kept == (before if is_good else undone), at
        assert not list(disk.rglob(".gpuhost-restore-*")), at
        for path, copy in pristine.items():
            subprocess.run(["find", path, "-mindepth", "1", "-delete"], check=True)
            shutil.copytree(copy, path, dirs_exist_ok=True)
    assert at > 17


def test_what_a_restore_with_an_unreadable_state_left_is_set_aside(
    app: App, activated: Activation, disk: Path
) -> None:
    """The advice is to restore again; the data may be the only copy."""
    name = a_backup(app)
    left = disk / "public/.gpuhost-restore-app-1"
    left.mkdir()
    (left / "audio").write_text("written by the app")
    assert restore(app.paths, name, "ada").state == "verified"
    kept = left.with_name(f"{left.name}.damaged")
    assert (kept / "audio").read_text() == "written by the app"
    assert str(kept) in log_of(app, name)
    # A removal of the app says where it is.
    assert kept in set(on_other_disks(app.paths))


@pytest.mark.parametrize("is_good", [True, False])
@pytest.mark.parametrize("step", [5, 6, 7, 8])
def test_without_its_disk_nothing_is_called_exchanged_or_undone(
    app: App,
    activated: Activation,
    disk: Path,
    mounted: Mount,
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
    is_good: bool,
    step: int,
) -> None:
    """A power cut, and the next boot does not mount it."""
    names = ("one.json", "two.json")
    release = app.release(NEW, backup=Backup(paths=names), is_current=True)
    for name in names:
        app.data(name, "then")
    saved = backup.backup(release, "schedule")
    for name in names:
        app.data(name, "now")

    def activate(_: Release) -> None:
        if not is_good and (disk / names[0]).read_text() == "then":
            raise BAD

    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    real, count = os.rename, 0

    def rename(*words: Any, **more: Any) -> None:
        nonlocal count
        count += 1
        if count == step:
            raise Cut
        real(*words, **more)

    operations.begin(app.paths, Operation("restore", saved, "ada", 7.0))
    with monkeypatch.context() as patched, pytest.raises(Cut):
        patched.setattr(os, "rename", rename)
        restore(app.paths, saved, "ada")
    (tmp_path / "kept").mkdir()
    mounted("--bind", disk, tmp_path / "kept")
    subprocess.run(["umount", disk], check=True)
    ended = restore(app.paths, saved, "ada")
    assert ended.state == "restore-failed"
    assert "its disk is not mounted" in ended.restore_said
    assert list(disk.iterdir()) == []
    mounted("--bind", tmp_path / "kept", disk)
    for staging_place in disk.glob(".gpuhost-restore-*"):
        if not any(staging_place.iterdir()):
            # Someone has tidied up; the advice is followed.
            staging_place.rmdir()
            operations.begin(app.paths, Operation("restore", saved, "ada", 8.0))
            assert restore(app.paths, saved, "ada").state == "restore-failed"
            subprocess.run(["mkdir", "-m", "700", staging_place], check=True)
    operations.begin(app.paths, Operation("restore", saved, "ada", 9.0))
    ended = restore(app.paths, saved, "ada")
    assert ended.state in ("verified", "restored"), (ended.said, ended.restore_said)
    expected = "then" if ended.state == "verified" else "now"
    assert [(disk / name).read_text() for name in names] == [expected] * 2
    texts = sorted(path.read_text() for path in disk.rglob("*.json"))
    assert texts == ["now", "now", "then", "then"]


def test_a_database_by_its_real_path_is_in_the_directory_that_a_link_leads_to(
    app: App, activated: Activation, mounted: Mount, tmp_path: Path
) -> None:
    (tmp_path / "srv").mkdir()
    mounted("-t", "tmpfs", "none", tmp_path / "srv")
    data = tmp_path / "srv/data"
    data.mkdir()
    app.paths.shared.mkdir()
    (app.paths.shared / "data").symlink_to(data)
    database(app, "then")
    app.data("data/other", "then")
    declared = Backup(sqlite=(str(data / "app.db"),), paths=("data",))
    name = backup.backup(app.release(NEW, backup=declared, is_current=True), "schedule")
    app.data("data/other", "now")
    database(app, "now", wal=True)
    assert restore(app.paths, name, "ada").state == "verified"
    assert (app_data(app), (data / "other").read_text()) == ("then", "then")
