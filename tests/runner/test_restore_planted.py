"""What an app puts in the way of a restore to a disk of its own: links, pipes, directories."""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.data import backup, staging, tarball
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages.restore import restore
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import NEW, App, Programs, app, as_resolved, programs
from tests.runner.restore_fixtures import (
    Activation,
    activated,
    disk,
    mounted,
    root,
)

__all__ = ["activated", "app", "disk", "mounted", "programs"]

pytestmark = root
BAD = Failure("web: exited with 1")
# The app can write to the root of the disk: nothing above it is private.
PLANTS: dict[str, Callable[[Path, Path], None]] = {
    "a link": lambda path, outside: path.symlink_to(outside),
    "a pipe": lambda path, outside: os.mkfifo(path),
    "a directory": lambda path, outside: (path / "inner").mkdir(parents=True),
    "nothing": lambda path, outside: None,
}


STAGED, ASIDE = ".gpuhost-restore-app-2", ".gpuhost-before-*-2"


@pytest.mark.parametrize("plant", PLANTS)
@pytest.mark.parametrize(
    ("moment", "place"),
    [
        *(("before", place) for place in (STAGED, "data", "public")),
        *(("staged", place) for place in (STAGED, "data", "public")),
        *(("exchanged", place) for place in (STAGED, ASIDE, "data", "public")),
    ],
)
def test_whatever_the_app_puts_in_the_way_the_rest_is_undone(
    app: App,
    programs: Programs,
    activated: Activation,
    disk: Path,
    monkeypatch: pytest.MonkeyPatch,
    tmp_path: Path,
    plant: str,
    place: str,
    moment: str,
) -> None:
    outside = tmp_path / "outside"
    outside.mkdir()
    (outside / "file").write_text("of the host")
    app.data("public/audio/then.mp3", "then")
    app.data("data/sub/file", "then")
    app.data("settings.json", "then")
    declared = Backup(paths=("public/audio", "data/sub", "settings.json"))
    release = app.release(NEW, backup=declared, is_current=True)
    volume = {"type": "bind", "source": str(disk), "target": "/shared"}
    as_resolved(release, {"web": {"volumes": [volume]}})
    name = backup.backup(release, "schedule")
    for path in ("public/audio/then.mp3", "data/sub/file", "settings.json"):
        app.data(path, "now")
    planted: list[tuple[Path, Path]] = []

    def put() -> None:
        path = next(disk.rglob(place), disk / place)
        kept = disk / "of-the-app" / path.name
        kept.parent.mkdir()
        if path.exists():
            path.rename(kept)
        PLANTS[plant](path, outside)
        planted.append((path, kept))

    def activate(_: Release) -> None:
        if (disk / "settings.json").read_text() == "then":
            if moment == "exchanged":
                put()
            raise BAD

    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", activate)
    if moment == "before":
        put()
    real = staging.stage

    def stage(*words: Any) -> None:
        real(*words)
        if moment == "staged":
            put()

    monkeypatch.setattr("gpuhost.runner.stages.restore_stages.stage", stage)
    ended = restore(app.paths, name, "ada")
    assert (disk / "settings.json").read_text() == "now", (ended.said, ended.restore_said)
    assert ended.state in ("failed", "restored", "restore-failed")
    assert [path.name for path in outside.iterdir()] == ["file"]
    # A person puts things right, and restores again.
    for path, kept in planted:
        if path.is_dir() and not path.is_symlink():
            shutil.rmtree(path)
        else:
            path.unlink(missing_ok=True)
        if kept.exists():
            kept.rename(path)
    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", lambda release: None)
    monkeypatch.setattr("gpuhost.runner.stages.restore_stages.stage", real)
    again = restore(app.paths, name, "ada")
    assert again.state in ("verified", "restored"), (again.said, again.restore_said)
    expected = "then" if again.state == "verified" else "now"
    assert (disk / "settings.json").read_text() == expected
    assert (disk / "data/sub/file").read_text() == expected
    texts = {path.read_text() for path in disk.rglob("*") if path.is_file()}
    assert {"now", "then"} <= texts


def test_a_name_that_the_app_adds_where_data_is_staged_stays_out(
    app: App, activated: Activation, disk: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    app.data("settings.json", "then")
    release = app.release(NEW, backup=Backup(paths=("settings.json",)), is_current=True)
    volume = {"type": "bind", "source": str(disk), "target": "/shared"}
    as_resolved(release, {"web": {"volumes": [volume]}})
    name = backup.backup(release, "schedule")
    app.data("settings.json", "now")
    real = tarball.unpack

    def unpack(source: Path, into: Path) -> str:
        unpacked = real(source, into)
        (next(disk.glob(".gpuhost-restore-*")) / "added").write_text("by the app")
        return unpacked

    monkeypatch.setattr(tarball, "unpack", unpack)
    monkeypatch.setattr("gpuhost.runner.stages.activation.activate", lambda release: None)
    assert restore(app.paths, name, "ada").state == "verified"
    assert (disk / "settings.json").read_text() == "then"
    assert not (disk / "added").exists()
