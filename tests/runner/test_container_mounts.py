"""What a container can write, also if what a release mounts is damaged: links there are refused."""

from __future__ import annotations

import json
import shlex
import subprocess
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths
from gpuhost.runner.data import container_mounts
from gpuhost.runner.data.container_mounts import of_all_apps
from gpuhost.runner.data.safe_paths import open_directory
from gpuhost.runner.docker.resolved_model import written_by_containers
from gpuhost.runner.lib import engine_data
from gpuhost.runner.lib.failure import DISK_FIX, Failure
from gpuhost.runner.lib.files import write_json
from gpuhost.runner.plan import Directory
from gpuhost.runner.resolved.external import refuse_unsupported
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import ME, NEW, OLD, App, app, as_resolved, unreadable
from tests.runner.restore_fixtures import mounted, root

__all__ = ["app", "mounted"]

LIKE_A_MODEL: dict[str, Any] = {"services": {"web": {"volumes": [{"type": "bind"}]}}}
DAMAGES: dict[str, Callable[[Path], object]] = {
    "missing": Path.unlink,
    "a bad byte": lambda path: path.write_bytes(b"\xff" + path.read_bytes()[1:]),
    "services is a list": lambda path: path.write_text('{"services": [1]}'),
    "a service is a list": lambda path: path.write_text('{"services": {"web": [1]}}'),
    "a short volume": lambda path: path.write_text(
        '{"services": {"web": {"volumes": ["a:b"]}}, "volumes": {"v": 5}}'
    ),
    "options are text": lambda path: path.write_text('{"volumes": {"v": {"driver_opts": "x"}}}'),
}


def started(app: App, path: str = "data", release_id: str = OLD) -> Release:
    """A release whose container mounts a directory, with a link of the container in it."""
    inner = app.data(f"{path}/file").parent
    (app.paths.home.parent / "of-the-host").mkdir(exist_ok=True)
    if not (inner / "link").is_symlink():
        (inner / "link").symlink_to(app.paths.home.parent / "of-the-host")
    release = app.release(release_id, is_current=True)
    as_resolved(
        release, {"web": {"volumes": [{"type": "bind", "source": str(inner), "target": "/d"}]}}
    )
    release.paths.journal.write_text('{"event": "begin", "stage": "up", "at": 1.0}\n')
    return release


def is_followed(release: Release, path: str = "data/link") -> bool:
    try:
        with open_directory(release, path):
            return True
    except Failure as failure:
        assert "is a link" in failure.said
        return False


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_a_link_is_not_followed_if_what_is_mounted_is_damaged(
    app: App, damage: Callable[[Path], object]
) -> None:
    release = started(app)
    assert not is_followed(release)
    damage(release.paths.resolved)
    assert not is_followed(release)


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_what_runs_tells_it_too_so_that_links_of_a_person_are_followed(
    app: App, damage: Callable[[Path], object]
) -> None:
    release = started(app)
    release.paths.runs.write_bytes(release.paths.resolved.read_bytes())
    damage(release.paths.resolved)
    (app.paths.shared / "models").symlink_to(app.paths.home.parent / "of-the-host")
    assert (is_followed(release), is_followed(release, "models")) == (False, True)


def test_what_is_damaged_is_told_and_the_advice_ends_it(app: App) -> None:
    old = started(app)
    old.paths.resolved.write_text("{")
    release = started(app, release_id=NEW)
    (app.paths.shared / "models").symlink_to(app.paths.home.parent / "of-the-host")
    with pytest.raises(Failure) as raised, open_directory(release, "models"):
        pass
    assert str(old.paths.home) in raised.value.fix
    command = shlex.split(raised.value.fix[raised.value.fix.index("rm -r ") :])
    subprocess.run(command, check=True)
    assert (is_followed(release), is_followed(release, "models")) == (False, True)


def test_what_the_disk_cannot_read_once_is_not_to_be_deleted(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    old, release = started(app), started(app, release_id=NEW)
    container_mounts._mounted.cache_clear()
    unreadable(monkeypatch, old.paths.resolved)
    (app.paths.shared / "models").symlink_to(app.paths.home.parent / "of-the-host")
    with pytest.raises(Failure) as raised, open_directory(release, "models"):
        pass
    assert raised.value.fix.endswith(f"{old.paths.home} mount cannot be read: {DISK_FIX}")


def test_the_disk_of_another_app_stops_nothing(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    other = started(App(AppPaths(tmp_path / "other")))
    for path in (other.paths.resolved, other.paths.plan):
        unreadable(monkeypatch, path)
    release = started(app)
    (app.paths.shared / "models").symlink_to(tmp_path / "of-the-host")
    assert is_followed(release, "models")


@pytest.mark.parametrize("damage", DAMAGES.values(), ids=DAMAGES)
def test_the_damage_of_another_app_stops_nothing(
    app: App, tmp_path: Path, damage: Callable[[Path], object]
) -> None:
    other = started(App(AppPaths(tmp_path / "other")))
    damage(other.paths.resolved)
    release = started(app)
    (app.paths.shared / "models").symlink_to(tmp_path / "of-the-host")
    assert (is_followed(release), is_followed(release, "models")) == (False, True)
    # What that app declares may be of its containers, too.
    assert tuple(of_all_apps(tmp_path).unread) == (other.paths.home,)


@pytest.mark.parametrize("name", ["a\0b", "\ud800", "x" * 300])
def test_what_no_directory_can_be_called_stops_no_app(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str
) -> None:
    """Releases have been stored with it, and volumes of the engine."""
    other = started(App(AppPaths(tmp_path / "other")))
    options = {"type": "overlay", "device": f"/srv/{name}", "o": f"upperdir=/srv/{name}"}
    model = {"services": {}, "volumes": {"v": {"driver_opts": options}}}
    other.paths.resolved.write_text(json.dumps(model))
    (tmp_path / "docker/volumes/v").mkdir(parents=True)
    volume = json.dumps({"MountDevice": f"/srv/{name}"})
    (tmp_path / "docker/volumes/v/opts.json").write_text(volume)
    write_json(tmp_path / "daemon.json", {"data-root": str(tmp_path / "docker")})
    monkeypatch.setattr(engine_data, "CONFIG", tmp_path / "daemon.json")
    release = started(app)
    (app.paths.shared / "models").symlink_to(tmp_path / "of-the-host")
    assert (is_followed(release), is_followed(release, "models")) == (False, True)


def test_what_has_not_started_mounts_nothing(app: App) -> None:
    release = app.release(directories=(Directory("/srv/of-test", ME),))
    mounts = of_all_apps(app.paths.home.parent)
    assert (mounts.paths, mounts.unread) == (frozenset(), {})
    release.paths.journal.write_text('{"event": "begin", "stage": "up", "at": 1.0}\n')
    mounts = of_all_apps(app.paths.home.parent)
    assert mounts.paths == {app.paths.shared, Path("/srv/of-test")}
    assert tuple(mounts.unread) == (release.paths.home,)


VOLUME = {"type": "bind", "source": "/srv/x"}


@pytest.mark.parametrize(
    ("model", "paths"),
    [
        ({"services": {"web": {"volumes": [VOLUME]}}}, ["/srv/x"]),
        ({"services": {"web": {"volumes": [{**VOLUME, "source": "//srv//x/"}]}}}, ["/srv/x"]),
        ({"services": {"web": {"volumes": [{**VOLUME, "source": "/srv/$$x"}]}}}, ["/srv/$x"]),
        ({"services": {"web": {"volumes": [{**VOLUME, "source": "/srv/.."}]}}}, []),
        ({"services": {"web": {"volumes": [{**VOLUME, "read_only": True}]}}}, []),
        ({"services": {"web": {"volumes": [{**VOLUME, "read_only": "false"}]}}}, ["/srv/x"]),
        ({"services": {"web": {"tmpfs": ["/x"], "volumes": [{"type": "tmpfs"}]}}}, []),
        ({"services": {"web": {"volumes": [{"type": "volume", "target": "/x"}]}}}, []),
        ({"volumes": {"v": {"driver_opts": {"device": "/srv/x", "o": "bind"}}}}, ["/srv/x"]),
        (
            {"volumes": {"v": {"driver_opts": {
                "device": "overlay", "o": "lowerdir=/srv/l,upperdir=/srv/u,workdir=/srv/w"}}}},
            ["/srv/u", "/srv/w"],
        ),
        ({"volumes": {"v": None}, "configs": {"c": {"file": "/srv/c"}}}, []),
    ],
)  # fmt: skip
def test_what_a_model_mounts(model: dict[str, Any], paths: list[str]) -> None:
    assert list(written_by_containers(model)) == paths


def test_very_many_directories_are_refused_and_those_of_an_old_release_are_not_looked_at(
    app: App, tmp_path: Path
) -> None:
    options = ",".join(f"upperdir=/srv/{number}" for number in range(60_000))
    volume = {"driver_opts": {"type": "overlay", "device": "overlay", "o": options}}
    model = {"services": {"web": {}}, "volumes": dict.fromkeys("abcdefghijkl", volume)}
    with pytest.raises(Failure, match="more than 1000 directories of the host"):
        refuse_unsupported(model)
    other = started(App(AppPaths(tmp_path / "other")))
    other.paths.resolved.write_text(json.dumps(model))
    assert of_all_apps(tmp_path).paths == {other.app.shared}


def test_a_volume_that_a_person_created_with_options(
    app: App, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = started(app)
    as_resolved(release, {"web": {"volumes": [{"type": "volume", "source": "v", "target": "/d"}]}})
    assert is_followed(release)
    write_json(tmp_path / "daemon.json", {"data-root": str(tmp_path / "docker")})
    monkeypatch.setattr(engine_data, "CONFIG", tmp_path / "daemon.json")
    (tmp_path / "docker/volumes/v").mkdir(parents=True)
    options = {"MountType": "none", "MountOpts": "bind", "MountDevice": str(app.paths.shared)}
    (tmp_path / "docker/volumes/v/opts.json").write_text(json.dumps(options))
    assert not is_followed(release)


def test_a_mount_above_shared_counts(app: App) -> None:
    release = started(app)
    volume = {"type": "bind", "source": str(app.paths.home.parent), "target": "/apps"}
    as_resolved(release, {"web": {"volumes": [volume]}})
    assert not is_followed(release)


@root
def test_a_link_is_not_followed_in_another_path_of_what_a_container_mounts(
    app: App, mounted: Callable[..., None], tmp_path: Path
) -> None:
    """A person has mounted /mnt/models below the directory that the container mounts."""
    models = tmp_path / "models"
    models.mkdir()
    (app.paths.shared / "data/models").mkdir(parents=True)
    mounted("--bind", models, app.paths.shared / "data/models")
    release = started(app)
    (models / "link").symlink_to(tmp_path / "of-the-host")
    assert not is_followed(release, str(models / "link"))
    (tmp_path / "mine").symlink_to(tmp_path / "of-the-host")
    assert is_followed(release, str(tmp_path / "mine"))
