"""What Compose cannot read while it is asked: files of other apps, of the engine, of the system."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

import pytest

from gpuhost.runner.lib import engine_data
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.resolved import hidden_paths
from gpuhost.runner.resolved.asking import ask_compose
from gpuhost.runner.resolved.hidden_paths import hiding
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

SECRET = "of-another-app"
pytestmark = pytest.mark.skipif(os.geteuid() != 0, reason="only root can hide a directory")


@pytest.fixture
def other(app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A file of another app, and a source of the app with ways to it."""
    apps = tmp_path / "apps"
    monkeypatch.setattr(hidden_paths, "APPS", apps)
    file = apps / "other/current/compose.json"
    file.parent.mkdir(parents=True)
    file.write_text(SECRET)
    (app.paths.home / "link").symlink_to(file)
    for number in range(20):
        (app.paths.home / f"l{number}").symlink_to(f"l{number + 1}" if number < 19 else file)
    return file


@pytest.mark.parametrize(
    "way", ["{other}", "/{other}", "{home}/link", "{home}/l0", "/proc/1/root{other}",
            "/proc/{pid}/root{other}", "/proc/self/root{other}", "{home}/../apps/other/../{rest}"]
)  # fmt: skip
def test_no_way_leads_to_the_files_of_another_app(app: App, other: Path, way: str) -> None:
    rest = other.relative_to(other.parents[2])
    path = way.format(other=other, home=app.paths.home, pid=os.getpid(), rest=rest)
    if "/1/" not in path:  # which may be of another user, where this test runs
        assert Path(path).read_text() == SECRET
    found = _read(app, path)
    assert (found.stdout, found.returncode) == ("", 1)
    assert "No such file" in found.stderr


def test_files_of_the_system_that_only_root_reads_are_empty(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    secret, directory = tmp_path / "shadow", tmp_path / "keys"
    secret.write_text(SECRET)
    directory.mkdir()
    (directory / "key").write_text(SECRET)
    names = (str(secret), str(directory), "/nowhere")
    monkeypatch.setattr(hidden_paths, "SECRET", dict.fromkeys(names, "the system's"))
    assert _read(app, secret).stdout == ""
    assert _read(app, directory / "key").returncode == 1
    assert (secret.read_text(), (directory / "key").read_text()) == (SECRET, SECRET)


def test_data_of_an_engine_on_another_disk_is_hidden(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    file = tmp_path / "disk/docker/volumes/other/_data/key"
    file.parent.mkdir(parents=True)
    file.write_text(SECRET)
    assert _read(app, file).stdout == SECRET
    write_json(tmp_path / "daemon.json", {"data-root": str(tmp_path / "disk/docker")})
    monkeypatch.setattr(engine_data, "CONFIG", tmp_path / "daemon.json")
    assert _read(app, file).returncode == 1


def test_what_is_the_apps_is_seen(app: App, other: Path) -> None:
    app.data("own", "text")
    elsewhere = other.parents[3] / "elsewhere"
    elsewhere.write_text("named by its author")
    assert _read(app, app.paths.shared / "own").stdout == "text"
    assert _read(app, elsewhere).stdout == "named by its author"


def test_compose_is_asked_there(app: App, programs: Programs, other: Path) -> None:
    release = app.release()
    release.source.mkdir()
    for words in ("docker compose * config *", "docker compose * config --services"):
        programs.answer(words, '{"services": {}}', then=f"cat {other} >&2")
    assert ask_compose(release).model["services"] == {}
    log = release.paths.log.read_text()
    assert "No such file" in log
    assert SECRET not in log


def test_a_failure_and_its_status_are_those_of_the_command(app: App) -> None:
    found = subprocess.run(
        hiding(app.paths, ("sh", "-c", "echo why >&2; exit 14")), capture_output=True, check=False
    )
    assert (found.returncode, found.stderr) == (14, b"why\n")


def _read(app: App, path: str | Path) -> subprocess.CompletedProcess[str]:
    words = hiding(app.paths, ("cat", str(path)))
    return subprocess.run(words, capture_output=True, text=True, check=False)
