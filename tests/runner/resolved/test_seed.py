"""Content of the source is copied into shared/ once, and never over data."""

from __future__ import annotations

import errno
import shutil
from collections.abc import Iterator
from pathlib import Path
from typing import Any, BinaryIO

import pytest

from gpuhost.runner.data import seed
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Directory
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, App, app

__all__ = ["app"]
LATER = "20260103-000000-cccccccc"


def a_release(app: App, **files: str) -> Release:
    release = app.release(directories=(Directory("data", ME),))
    app.paths.shared.mkdir(exist_ok=True)
    for name, text in files.items():
        file = release.source / "data" / name.replace("_", "/")
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text)
    return release


def content(directory: Path) -> dict[str, str]:
    files = (path for path in directory.rglob("*") if path.is_file())
    return {str(path.relative_to(directory)): path.read_text() for path in files}


def test_it_is_copied_once(app: App) -> None:
    release = a_release(app, one="1", sub_two="2")
    (release.source / "data/link").symlink_to("one")
    (release.source / "data/one").chmod(0o750)
    seed.seed(release, "data")
    data = app.paths.shared / "data"
    assert content(data) == {"one": "1", "sub/two": "2", "link": "1"}
    assert (data / "one").stat().st_mode & 0o777 == 0o750
    assert (data / "link").is_symlink()
    (data / "one").unlink()
    seed.seed(Release.open(app.paths, release.plan.id), "data")
    assert "one" not in content(data)


def test_data_that_is_there_stays(app: App) -> None:
    app.data("data/own", "own")
    release = a_release(app, one="1")
    seed.seed(release, "data")
    assert content(app.paths.shared / "data") == {"own": "own"}


def test_a_file(app: App) -> None:
    release = a_release(app, one="1")
    seed.seed(release, "data/one")
    assert content(app.paths.shared) == {"data/one": "1"}


def test_an_interrupted_copy_continues(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    release = a_release(app, a="1", b="2", c="3")
    real = seed._copy_file

    def cut(source: BinaryIO, into: Any, name: str, *rest: Any) -> None:
        if name == "b":
            raise KeyboardInterrupt
        real(source, into, name, *rest)

    monkeypatch.setattr(seed, "_copy_file", cut)
    with pytest.raises(KeyboardInterrupt):
        seed.seed(release, "data")
    monkeypatch.undo()
    (app.paths.shared / "data/a").write_text("changed since")
    seed.seed(Release.open(app.paths, release.plan.id), "data")
    assert content(app.paths.shared / "data") == {"a": "changed since", "b": "2", "c": "3"}


def test_a_link_that_a_container_made_is_not_followed(app: App, tmp_path: Path) -> None:
    release = a_release(app, sub_one="1")
    (tmp_path / "elsewhere").mkdir()
    data = app.paths.shared / "data"
    data.mkdir()
    release.remember(copied={"data": False})
    (data / "sub").symlink_to(tmp_path / "elsewhere")
    with pytest.raises(Failure, match="copying data of the source"):
        seed.seed(release, "data")
    assert list((tmp_path / "elsewhere").iterdir()) == []


def test_a_file_that_was_cut_off_is_copied_whole(app: App, monkeypatch: pytest.MonkeyPatch) -> None:
    release = a_release(app, model="0123456789")

    def cut(file: BinaryIO) -> Iterator[bytes]:
        yield file.read(4)
        raise KeyboardInterrupt

    with monkeypatch.context() as patched:
        patched.setattr(seed, "pieces", cut)
        with pytest.raises(KeyboardInterrupt):
            seed.seed(release, "data")
    seed.seed(Release.open(app.paths, release.plan.id), "data")
    assert content(app.paths.shared / "data") == {"model": "0123456789"}


def test_after_a_full_disk_the_next_release_copies_the_rest(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = a_release(app, a="1", b="2")

    def full(file: BinaryIO) -> Iterator[bytes]:
        content = file.read()
        if content == b"2":
            raise OSError(errno.ENOSPC, "No space left on device")
        yield content

    with monkeypatch.context() as patched:
        patched.setattr(seed, "pieces", full)
        with pytest.raises(Failure, match="No space left"):
            seed.seed(release, "data")
    assert content(app.paths.shared / "data")["a"] == "1"
    later = app.release(LATER, directories=(Directory("data", ME),))
    shutil.copytree(release.source, later.source)
    assert seed.unfinished(app.paths) == {"data": release.plan.id}
    seed.seed(later, "data")
    assert content(app.paths.shared / "data") == {"a": "1", "b": "2"}
    assert seed.unfinished(app.paths) == {}
