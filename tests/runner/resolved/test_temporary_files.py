"""Secrets and data are in the project's directory while Compose is asked, and not longer."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Directory
from gpuhost.runner.resolved.temporary_files import temporary_files
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, App, app

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
    app.data(".env", "OWN")
    (release.source / ".env").write_text("OWN")
    with temporary_files(release, {"a/b/key": "SECRET"}, ("conf/app.env", ".env", "missing.env")):
        assert files(release) == {"a/b/key": "SECRET", "conf/app.env": "DATA", ".env": "OWN"}
        assert (release.source / "a/b/key").stat().st_mode & 0o777 == 0o600
    assert files(release) == {".env": "OWN"}
    assert [path.name for path in release.source.iterdir()] == [".env"]
    assert not list(release.paths.home.glob("*placed*"))


def test_a_file_of_the_source_is_put_back(release: Release) -> None:
    (release.source / ".env").write_text("OWN")
    with temporary_files(release, {"./.env": "SECRET"}, ()):
        assert files(release) == {".env": "SECRET"}
    assert files(release) == {".env": "OWN"}


def test_after_an_interruption_the_next_one_clears_up(release: Release) -> None:
    (release.source / ".env").write_text("OWN")
    interrupted = temporary_files(release, {".env": "OLD", "a/key": "OLD"}, ())
    interrupted.__enter__()
    with temporary_files(release, {".env": "NEW"}, ()):
        assert files(release) == {".env": "NEW"}
    assert files(release) == {".env": "OWN"}
    del interrupted


def test_after_a_failure_nothing_stays(release: Release) -> None:
    with pytest.raises(Failure), temporary_files(release, {"key": "SECRET"}, ()):
        raise Failure("refused")
    assert files(release) == {}


def test_a_link_of_the_source_is_not_followed(release: Release, tmp_path: Path) -> None:
    (tmp_path / "host").mkdir()
    (release.source / "conf").symlink_to(tmp_path / "host")
    with (
        pytest.raises(Failure, match="link that leads out"),
        temporary_files(release, {"conf/key": "SECRET"}, ()),
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
    with pytest.raises(Failure, match="env: ") as raised, temporary_files(release, {}, (".env",)):
        pass
    assert raised.value.fix
    assert files(release) == {}


def test_a_file_of_the_source_survives_a_power_cut(release: Release) -> None:
    """Before it is set aside; or when it is back, but the record is still there."""
    (release.source / ".env").write_text("OWN")
    record = {"files": [".env", "key"], "directories": [], "moved": [".env"]}
    write_json(release.source.with_name("placed.json"), record)
    (release.source / "key").write_text("SECRET")
    with temporary_files(release, {".env": "SECRET"}, ()):
        assert files(release) == {".env": "SECRET"}
    assert files(release) == {".env": "OWN"}


def test_a_file_in_the_way_of_a_directory_is_refused(release: Release) -> None:
    (release.source / "conf").write_text("a file")
    with (
        pytest.raises(Failure, match="conf/key: conf is a file of the source"),
        temporary_files(release, {"conf/key": "SECRET"}, ()),
    ):
        pass
    assert files(release) == {"conf": "a file"}


def test_a_file_of_the_source_and_another_on_the_host_are_refused(
    app: App, release: Release
) -> None:
    (release.source / ".env").write_text("PASSWORD=of-development")
    app.data(".env", "PASSWORD=of-production")
    with pytest.raises(Failure, match=r"shared/\.env .* differs") as raised:
        temporary_files(release, {}, (".env",)).__enter__()
    assert "of-production" not in f"{raised.value.said}{raised.value.output}"
    assert files(release) == {".env": "PASSWORD=of-development"}


def test_in_a_directory_of_data_the_file_of_the_host_counts(app: App) -> None:
    release = app.release(directories=(Directory("data", ME),))
    (release.source / "data").mkdir(parents=True)
    (release.source / "data/app.env").write_text("OWN")
    app.data("data/app.env", "DATA")
    with temporary_files(release, {}, ("data/app.env",)):
        assert files(release) == {"data/app.env": "DATA"}
    assert files(release) == {"data/app.env": "OWN"}


@pytest.mark.parametrize("is_of_source", [False, True])
def test_a_file_that_is_too_large_is_refused_not_cut(
    app: App, release: Release, is_of_source: bool
) -> None:
    large = "A=1\n" * (1 << 19) + "PASSWORD=last\n"
    app.data(".env", "A=1\n" if is_of_source else large)
    if is_of_source:
        (release.source / ".env").write_text(large)
    with (
        pytest.raises(Failure, match=r"\.env.* has 2 MB; the largest that is read is 1 MB"),
        temporary_files(release, {}, (".env",)),
    ):
        pass
    assert files(release) == ({".env": large} if is_of_source else {})
