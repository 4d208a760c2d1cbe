"""Restoring files and SQLite: as saved, with the replaced data kept; or nothing is changed."""

from __future__ import annotations

import json
import os
import shutil
from collections import namedtuple
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import Operation
from gpuhost.runner.data import backup, sqlite_copy, stored
from gpuhost.runner.plan import Backup, Directory, Migrate
from gpuhost.runner.stages.restore import paths, restore
from gpuhost.runner.state import operations, results
from gpuhost.runner.state.follow import follow
from tests.runner.host_fixtures import ME, NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    ALL,
    DB,
    NOW,
    THEN,
    Activation,
    a_backup,
    activated,
    app_data,
    database,
    left_over,
    set_aside,
    state,
)
from tests.runner.trees import ACL, DEFAULT_ACL, an_acl

__all__ = ["activated", "app", "programs"]
EVERYTHING = Backup(sqlite=(DB,), paths=("data", "settings.json"))


def test_data_is_restored_and_the_replaced_data_is_kept(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app)
    ended = restore(app.paths, name, "ada@desk")
    assert (ended.state, ended.by, ended.id) == ("verified", "ada@desk", name)
    assert state(app) == THEN
    assert activated.seen == ["then"]
    assert set_aside(app) == ["app.db", "app.db-wal", "audio", "settings.json"]
    assert left_over(app) == []
    assert programs.called("docker stop") == ["docker stop -t 30 c0ffee 0ddb0y"]


def test_the_result_is_in_the_directory_of_the_backup_and_in_the_history(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    ended = restore(app.paths, name, "ada@desk")
    assert results.read(paths(app.paths, name).result) == ended
    audited = json.loads(app.paths.history.read_text())
    assert (audited["kind"], audited["state"], audited["backup"]) == ("restore", "verified", name)
    assert f"verified, with the data of {name}" in paths(app.paths, name).log.read_text()
    assert [one.name for one in stored.complete(app.paths)] == [name]


@pytest.mark.skipif(os.getuid() != 0, reason="only root can change the owner of a file")
def test_owners_and_modes_are_restored(app: App, activated: Activation) -> None:
    database(app, "then")
    file = app.data("public/audio/then.mp3", "then")
    for path, owner, mode in (
        (app.paths.shared / DB, 1001, 0o600),
        (file, 1002, 0o640),
        (file.parent, 1003, 0o2750),
    ):
        os.chown(path, owner, owner)
        path.chmod(mode)
    app.data("settings.json")
    release = app.release(NEW, backup=ALL, is_current=True)
    name = backup.backup(release, "schedule")
    shutil.rmtree(app.paths.shared)
    assert restore(app.paths, name, "ada").state == "verified"
    owners = {}
    for path in (app.paths.shared / DB, file, file.parent):
        status = path.stat()
        owners[path.name] = (status.st_uid, status.st_gid, status.st_mode & 0o7777)
    assert owners == {
        "app.db": (1001, 1001, 0o600),
        "then.mp3": (1002, 1002, 0o640),
        "audio": (1003, 1003, 0o2750),
    }


@pytest.mark.parametrize("paths", [(), ("data",)], ids=["alone", "in a directory"])
def test_acls_and_attributes_of_a_database_are_restored(
    app: App, activated: Activation, paths: tuple[str, ...]
) -> None:
    database(app, "then")
    path = app.paths.shared / DB
    os.setxattr(path, b"user.\xfe", b"\xff kept")
    os.setxattr(path, ACL, an_acl(4242))
    mode = path.stat().st_mode
    release = app.release(NEW, backup=Backup(sqlite=(DB,), paths=paths), is_current=True)
    name = backup.backup(release, "schedule")
    path.unlink()
    assert restore(app.paths, name, "ada").state == "verified"
    assert os.getxattr(path, b"user.\xfe") == b"\xff kept"
    assert (os.getxattr(path, ACL), path.stat().st_mode) == (an_acl(4242), mode)


def test_a_database_inherits_no_acl_of_its_directory(app: App, activated: Activation) -> None:
    database(app, "then")
    os.setxattr((app.paths.shared / DB).parent, DEFAULT_ACL, an_acl(1234))
    declared = Backup(sqlite=(DB,), paths=("data",))
    name = backup.backup(app.release(NEW, backup=declared, is_current=True), "schedule")
    assert restore(app.paths, name, "ada").state == "verified"
    assert ACL not in os.listxattr(app.paths.shared / DB)


def test_what_a_newer_gpuhost_has_backed_up_is_not_left_out(
    app: App, activated: Activation
) -> None:
    name = a_backup(app)
    manifest = app.paths.backups / name / "manifest.json"
    manifest.write_text(manifest.read_text().replace('"kind": "path"', '"kind": "volume"'))
    ended = restore(app.paths, name, "ada")
    assert (ended.state, state(app)) == ("failed", NOW)
    assert "this gpuhost cannot restore 'volume'" in ended.said


def test_deleted_data_is_restored(app: App, activated: Activation) -> None:
    name = a_backup(app, directories=(Directory("public", ME, "0711"),))
    shutil.rmtree(app.paths.shared)
    assert restore(app.paths, name, "ada").state == "verified"
    assert state(app) == THEN
    assert (app.paths.shared / "public").stat().st_mode & 0o777 == 0o711


def test_a_database_inside_a_restored_directory(app: App, activated: Activation) -> None:
    app.data("data/other", "then")
    name = a_backup(app, EVERYTHING)
    app.data("data/other", "now")
    assert restore(app.paths, name, "ada").state == "verified"
    assert app_data(app) == "then"
    assert (app.paths.shared / "data/other").read_text() == "then"
    assert set_aside(app) == ["data", "settings.json"]


def test_a_database_whose_directory_was_moved_while_the_backup_was_made(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Its copy is in the backup, and the directory in that of the paths is not."""
    database(app, "then")
    data = app.paths.shared / "data"
    real = sqlite_copy.copy

    def copy(*words: Any, **more: Any) -> object:
        state = real(*words, **more)
        data.rename(app.paths.home / "moved")
        (app.paths.shared / "data").mkdir()
        return state

    inner = Backup(sqlite=("data/inner/app.db",), paths=("data",))
    app.data("data/inner/x", "x")
    for path in data.glob("app.db*"):
        path.rename(data / "inner" / path.name)
    with monkeypatch.context() as patched:
        patched.setattr(sqlite_copy, "copy", copy)
        name = backup.backup(app.release(NEW, backup=inner, is_current=True), "schedule")
    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", lambda release: None)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.said) == ("verified", "")
    (data / "inner/app.db").rename(data / "app.db")
    assert app_data(app) == "then"


def test_a_directory_behind_a_link_is_exchanged_at_its_target(
    app: App, activated: Activation, tmp_path: Path
) -> None:
    (tmp_path / "disk/models").mkdir(parents=True)
    (tmp_path / "disk/models/then").touch()
    app.paths.shared.mkdir()
    (app.paths.shared / "models").symlink_to(tmp_path / "disk/models")
    database(app, "then")
    release = app.release(NEW, backup=Backup(paths=("models",)), is_current=True)
    name = backup.backup(release, "schedule")
    (tmp_path / "disk/models/then").rename(tmp_path / "disk/models/now")
    assert restore(app.paths, name, "ada").state == "verified"
    assert (app.paths.shared / "models").is_symlink()
    assert [path.name for path in (tmp_path / "disk/models").iterdir()] == ["then"]


def test_the_migration_of_the_current_release_runs_on_restored_data(
    app: App, programs: Programs, activated: Activation
) -> None:
    name = a_backup(app, migrate=Migrate("migrate"))
    programs.compose({"migrate": {}})
    programs.answer("docker container inspect *", status=1)
    assert restore(app.paths, name, "ada").state == "verified"
    assert len(programs.called(" run --rm ")) == 1


def damaged(app: App, name: str) -> None:
    next((app.paths.backups / name).glob("*.tar.gz")).write_text("damaged")


def without_release(app: App, name: str) -> None:
    app.paths.current.unlink()


def with_a_link(app: App, name: str) -> None:
    (app.paths.shared / "settings.json").unlink()
    (app.paths.shared / "settings.json").symlink_to("/etc/passwd")


@pytest.mark.parametrize(
    ("spoil", "words"),
    [
        (damaged, "damaged or missing"),
        (without_release, "no verified release"),
        (with_a_link, "not followed"),
    ],
)
def test_what_cannot_be_restored_changes_nothing(
    app: App, programs: Programs, activated: Activation, spoil: object, words: str
) -> None:
    name = a_backup(app)
    spoil(app, name)  # type: ignore[operator]
    ended = restore(app.paths, name, "ada")
    assert ended.state == "failed"
    assert words in ended.said
    assert (activated.seen, programs.called("docker stop"), left_over(app)) == ([], [], [])
    assert app_data(app) == "now"


def test_too_little_disk_space_fails_before_anything_is_staged(
    app: App, activated: Activation, monkeypatch: pytest.MonkeyPatch
) -> None:
    name = a_backup(app)
    usage = namedtuple("usage", "total free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(1 << 40, stored.RESERVE))
    ended = restore(app.paths, name, "ada")
    assert (ended.state, ended.said[:21], state(app)) == ("failed", "not enough disk space", NOW)


def test_an_unknown_backup_changes_nothing(app: App, activated: Activation) -> None:
    a_backup(app)
    ended = restore(app.paths, "../../etc", "ada")
    assert (ended.state, "has no backup '../../etc'" in ended.said) == ("failed", True)
    assert state(app) == NOW
    assert not (app.paths.home.parent / "etc").exists()


def test_follow_finds_a_restore_by_the_name_of_its_backup(
    app: App, activated: Activation, capsys: pytest.CaptureFixture[str]
) -> None:
    name = a_backup(app)
    restore(app.paths, name, "ada")
    follow(app.paths, name, 0, 0)
    answer, *lines = capsys.readouterr().out.splitlines()
    status = json.loads(answer)
    assert (status["state"], status["result"]["state"]) == ("ended", "verified")
    assert [line[9:] for line in lines if "==" in line] == ["== stage", "== exchange", "== verify"]


def test_a_finished_restore_does_not_run_again(app: App, activated: Activation) -> None:
    name = a_backup(app)
    operations.begin(app.paths, Operation("restore", name, "ada", 1234.5))
    first = restore(app.paths, name, "ada")
    database(app, "later")
    assert restore(app.paths, name, "ada") == first
    assert app_data(app) == "later"
    operations.begin(app.paths, Operation("restore", name, "ada", 1300.0))
    restore(app.paths, name, "ada")
    assert app_data(app) == "then"
