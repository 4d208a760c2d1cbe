"""Secrets and data are in the project's directory while Compose is asked, and not longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.resolved.placing import placed
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, app

__all__ = ["app"]


@pytest.fixture
def release(app: App) -> Release:
    made = app.release()
    made.source.mkdir()
    app.paths.shared.mkdir()
    return made


def files(release: Release) -> dict[str, str]:
    found = (path for path in release.source.rglob("*") if not path.is_dir())
    return {str(path.relative_to(release.source)): path.read_text() for path in found}


def test_they_are_removed_with_the_directories_that_were_made(app: App, release: Release) -> None:
    app.data("conf/app.env", "DATA")
    app.data(".env", "not taken: the source has it")
    (release.source / ".env").write_text("OWN")
    with placed(release, {"a/b/key": "SECRET"}, ("conf/app.env", ".env", "missing.env")):
        assert files(release) == {"a/b/key": "SECRET", "conf/app.env": "DATA", ".env": "OWN"}
        assert (release.source / "a/b/key").stat().st_mode & 0o777 == 0o600
    assert files(release) == {".env": "OWN"}
    assert [path.name for path in release.source.iterdir()] == [".env"]
    assert not list(release.paths.home.glob("*placed*"))


def test_a_file_of_the_source_is_put_back(release: Release) -> None:
    (release.source / ".env").write_text("OWN")
    with placed(release, {"./.env": "SECRET"}, ()):
        assert files(release) == {".env": "SECRET"}
    assert files(release) == {".env": "OWN"}


def test_after_an_interruption_the_next_one_clears_up(release: Release) -> None:
    (release.source / ".env").write_text("OWN")
    interrupted = placed(release, {".env": "OLD", "a/key": "OLD"}, ())
    interrupted.__enter__()
    with placed(release, {".env": "NEW"}, ()):
        assert files(release) == {".env": "NEW"}
    assert files(release) == {".env": "OWN"}
    del interrupted


def test_after_a_failure_nothing_stays(release: Release) -> None:
    with pytest.raises(Failure), placed(release, {"key": "SECRET"}, ()):
        raise Failure("refused")
    assert files(release) == {}


def test_a_link_of_the_source_is_not_followed(release: Release, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (release.source / "conf").symlink_to(tmp_path / "host")
    with (
        pytest.raises(Failure, match="link that leads out"),
        placed(release, {"conf/key": "SECRET"}, ()),
    ):
        pass
    assert list((tmp_path / "host").iterdir()) == []


@pytest.mark.parametrize("kind", ["link", "pipe"])
def test_data_must_be_a_regular_file(app: App, release: Release, tmp_path: Path, kind: str) -> None:
    (tmp_path / "host").write_text("root only")
    if kind == "link":
        (app.paths.shared / ".env").symlink_to(tmp_path / "host")
    else:
        os.mkfifo(app.paths.shared / ".env")
    with pytest.raises(Failure, match="env: ") as raised, placed(release, {}, (".env",)):
        pass
    assert raised.value.fix
    assert files(release) == {}
