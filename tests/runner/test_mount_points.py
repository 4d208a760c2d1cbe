"""A path that is a mount point is refused with an advice, which restores the same by hand."""

from __future__ import annotations

import os
import shutil
import subprocess
from collections.abc import Callable
from pathlib import Path

import pytest

from gpuhost.runner.data import backup, mount_points
from gpuhost.runner.plan import Backup
from gpuhost.runner.stages.restore import restore
from tests.runner.host_fixtures import NEW, App, Programs, app, programs
from tests.runner.restore_fixtures import (
    DB,
    NOW,
    Activation,
    a_backup,
    activated,
    app_data,
    database,
    mounted,
    root,
    state,
)

__all__ = ["activated", "app", "mounted", "programs"]

pytestmark = root


DOCS = Path(__file__).parents[2] / "docs/restore.md"


def test_a_mount_point_of_any_name_is_read(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    names = ("/a\r\u2028b\x1c", "/c d\n\\", "/e")
    escaped = ("/a\r\u2028b\x1c", r"/c\040d\012\134", "/e")
    table = "".join(f"142 27 0:92 / {one} rw - tmpfs none rw\n" for one in escaped)
    (tmp_path / "mountinfo").write_bytes(table.encode())
    monkeypatch.setattr(mount_points, "MOUNTS", tmp_path / "mountinfo")
    monkeypatch.setattr(mount_points, "_is_reached", lambda path, mount: True)
    assert list(mount_points.mount_points({Path("/")})) == [Path(name) for name in names]


def test_a_mount_elsewhere_is_not_opened(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    """Its server may not answer."""
    paths = ("/srv/share", "/srv/app/data", "/srv/app", "/srv/apples/x")
    table = "".join(f"142 27 0:92 / {path} rw - nfs none rw\n" for path in paths)
    (tmp_path / "mountinfo").write_text(table)
    monkeypatch.setattr(mount_points, "MOUNTS", tmp_path / "mountinfo")
    opened: list[str] = []
    monkeypatch.setattr(mount_points, "_is_reached", lambda path, mount: not opened.append(path))
    found = list(mount_points.mount_points({Path("/srv/app")}))
    assert (found, opened) == ([Path("/srv/app/data")], ["/srv/app/data"])


def follow(fix: str, path: Path, kept: Path, programs: Programs) -> None:
    """What a person does: the sentence is in front of the command, the rest in the docs."""
    before, _, command = fix.partition("then run ")
    kept.mkdir()
    if f"move what is in {path} to another directory" in before:
        for inner in path.iterdir():
            shutil.move(inner, kept)
    else:
        assert f"copy {path} " in before
        shutil.copy(path, kept)
    if f"move {path}-* to another directory" in before:
        for beside in path.parent.glob(f"{path.name}-*"):
            shutil.move(beside, kept)
    by_hand = DOCS.read_text(encoding="utf-8").partition("## By hand")[2]
    script = by_hand.partition("```sh\n")[2].partition("```")[0]
    for words, meant in (
        ("# the command of the message", command),
        ("=NAME", "=app"),
        ("/root/stopped", str(kept.with_name("stopped"))),
    ):
        assert words in script
        script = script.replace(words, meant)
    environment = {**os.environ, "PATH": f"{programs.directory}:{os.environ['PATH']}"}
    programs.answer("docker ps -q *", "c0ffee\n0ddb0y\n")
    subprocess.run(["sh", "-ec", script], check=True, env=environment)
    assert programs.calls[-2:] == ["docker stop c0ffee 0ddb0y", "docker start c0ffee 0ddb0y"]


@pytest.mark.parametrize("path", ["public/audio", "settings.json", DB])
def test_a_mount_point(
    app: App,
    programs: Programs,
    activated: Activation,
    mounted: Callable[..., None],
    tmp_path: Path,
    path: str,
) -> None:
    name = a_backup(app)
    target = app.paths.shared / path
    before = state(app)
    mounted("--bind", target, target)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, "is a mount point" in ended.said, state(app)) == ("failed", True, NOW)
    assert before == NOW
    follow(ended.fix, target, tmp_path / "kept", programs)
    assert dict(zip(("public/audio", "settings.json", DB), (state(app)[i] for i in (1, 2, 0)),
                    strict=True))[path] in (["then.mp3"], "then")  # fmt: skip
    assert any((tmp_path / "kept").iterdir())
    assert list((tmp_path / "kept").rglob("*.tar.gz")) == []


def test_a_mount_point_with_a_database_in_it(
    app: App,
    programs: Programs,
    activated: Activation,
    mounted: Callable[..., None],
    tmp_path: Path,
) -> None:
    app.data("data/other", "then")
    database(app, "then")
    os.chown(app.paths.shared / DB, 1001, 1002)
    (app.paths.shared / DB).chmod(0o640)
    name = backup.backup(
        app.release(NEW, backup=Backup(sqlite=(DB,), paths=("data",)), is_current=True), "schedule"
    )
    app.data("data/other", "now")
    database(app, "now", wal=True)
    data = app.paths.shared / "data"
    mounted("--bind", data, data)
    ended = restore(app.paths, name, "ada")
    follow(ended.fix, data, tmp_path / "kept", programs)
    assert (app_data(app), (data / "other").read_text()) == ("then", "then")
    status = (app.paths.shared / DB).stat()
    assert (status.st_uid, status.st_gid, status.st_mode & 0o777) == (1001, 1002, 0o640)
    assert (tmp_path / "kept/other").read_text() == "now"


def test_a_mount_in_a_directory_would_be_moved_away_with_it(
    app: App, activated: Activation, mounted: Callable[..., None], tmp_path: Path
) -> None:
    name = a_backup(app)
    (tmp_path / "disk").mkdir()
    (tmp_path / "disk/large").write_text("on the disk")
    inner = app.data("public/audio/on a disk/x").parent
    mounted("--bind", tmp_path / "disk", inner)
    ended = restore(app.paths, name, "ada")
    assert (ended.state, f"{inner} is a mount point" in ended.said) == ("failed", True)
    assert f"take {inner} out of /etc/fstab" in ended.fix
    command = ended.fix.partition("run ")[2].partition(", and restore")[0]
    subprocess.run(["sh", "-ec", command], check=True)
    assert restore(app.paths, name, "ada").state == "verified"
    assert (tmp_path / "disk/large").read_text() == "on the disk"


@pytest.mark.parametrize("over", ["public/audio/inner", "public/audio"])
def test_a_mount_that_another_one_hides_is_not_in_the_way(
    app: App, activated: Activation, mounted: Callable[..., None], over: str
) -> None:
    """Nobody can unmount it."""
    name = a_backup(app)
    inner = app.data("public/audio/inner/disk/x").parent
    mounted("-t", "tmpfs", "none", inner)
    mounted("-t", "tmpfs", "none", app.paths.shared / over)
    ended = restore(app.paths, name, "ada")
    assert (str(inner) in ended.said, f"{over} is a mount point" in ended.said) == (False, True)
