"""A link of a container may not lead a mount to what that container cannot write anyway."""

from __future__ import annotations

import json
import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.data import safe_paths
from gpuhost.runner.data.path_walk import Walk
from gpuhost.runner.data.safe_paths import open_directory, require_no_way_out
from gpuhost.runner.lib.directory_handle import DirectoryHandle
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Directory
from gpuhost.runner.stages.render import render, write_host_files
from tests.runner.host_fixtures import ME, NEW, OLD, App, Programs, app, as_resolved, programs

__all__ = ["app", "programs"]


def mounting(app: App, *paths: str) -> dict[str, object]:
    binds = [
        {"type": "bind", "source": str(app.paths.shared / path), "target": f"/{path}"}
        for path in paths
    ]
    return {"web": {"volumes": binds}}


@pytest.mark.parametrize(
    ("mounts", "link", "target", "is_refused"),
    [
        (("data",), "data/models", "other", False),
        (("data",), "data/models", "../secrets", True),
        (("data",), "data/models", "../../shared", True),
        (("data",), "data/models", "/", True),
        ((".",), "data/models", "../secrets", False),
        # The innermost: what else is in data/ may be of another service.
        (("data", "data/models"), "data/models/inner", "../private", True),
        # A directory in which only a person puts links.
        (("data/models/inner",), "data/models", "../secrets", False),
    ],
)
def test_a_link_in_a_mount(
    app: App, mounts: tuple[str, ...], link: str, target: str, is_refused: bool
) -> None:
    app.data("secrets/key", "of another service")
    app.data("data/other/file")
    app.data("data/private/file")
    path = app.paths.shared / "data/models/inner"
    (app.paths.shared / link).parent.mkdir(parents=True, exist_ok=True)
    release = app.release()
    as_resolved(release, mounting(app, *mounts, str(path.relative_to(app.paths.shared))))
    (app.paths.shared / link).symlink_to(target)
    if is_refused:
        with pytest.raises(Failure, match=r"web: .* is a link"):
            require_no_way_out(release, [(path, "web")])
    else:
        require_no_way_out(release, [(path, "web")])


def test_a_link_above_a_directory_that_only_an_older_release_mounts(
    app: App, tmp_path: Path
) -> None:
    """It is not looked at itself, and would vouch for whatever it leads to."""
    (tmp_path / "of-the-host/models").mkdir(parents=True)
    as_resolved(app.release(OLD), mounting(app, "data", "data/sub"))
    release = app.release(NEW, directories=(Directory("data/sub", ME, "0755"),))
    as_resolved(release, mounting(app, "data", "data/sub/models"))
    app.data("data/file")
    (app.paths.shared / "data/sub").symlink_to(tmp_path / "of-the-host")
    with pytest.raises(Failure, match="data/sub is a link"):
        require_no_way_out(release, [(app.paths.shared / "data/sub/models", "web")])


def test_a_directory_that_becomes_a_link_while_it_is_looked_at(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = app.release()
    as_resolved(release, mounting(app, "data", "data/sub/models"))
    sub = app.data("data/sub/models/file").parent.parent
    real = DirectoryHandle.look

    def look(handle: DirectoryHandle, name: str) -> os.stat_result | None:
        state = real(handle, name)
        if name == "sub":
            sub.rename(sub.with_name("kept"))
            sub.symlink_to("/")
        return state

    monkeypatch.setattr(DirectoryHandle, "look", look)
    with pytest.raises(Failure, match=r"web: .*/sub/models: 'sub': Not a directory"):
        require_no_way_out(release, [(sub / "models", "web")])


@pytest.mark.parametrize("target", ["../secrets", "../cache/" + "../" * 12 + "etc"])
def test_a_link_that_a_copy_of_the_source_brings(app: App, programs: Programs, target: str) -> None:
    """In the source it does not lead out; beside the data of the app it does."""
    release = app.release(
        is_current=False,
        directories=(Directory("data", ME, "0755"), Directory("cache", ME, "0755")),
        compose=("compose.yaml",),
    )
    deep = Path("data", *"abcdefghijklmnop")
    (release.source / deep).mkdir(parents=True)
    (release.source / deep / "file").write_text("")
    (release.source / "compose.yaml").write_text("services: {}\n")
    (release.source / "cache").symlink_to(deep)
    (release.source / "data/m").symlink_to(target)
    volumes = [
        {"type": "bind", "source": str(release.source / path), "target": f"/{path}"}
        for path in ("data", "cache", "data/m")
    ]
    model = {"services": {"web": {"image": "x", "volumes": volumes}}}
    programs.answer("docker compose * config *", json.dumps(model))
    programs.answer("docker compose * config --services", "web\n")
    render(release)
    with pytest.raises(Failure, match=r"data/m is a link"):
        write_host_files(release)


def test_what_all_apps_mount_is_read_once_for_each_call(
    app: App, monkeypatch: pytest.MonkeyPatch
) -> None:
    release = app.release(directories=(Directory("data", ME, "0755"),))
    top = app.data("data/a/b/file").parent
    walks = []

    def count(*words: Any, **more: Any) -> Walk:
        walks.append(words)
        return Walk(*words, **more)

    def reads(call: Callable[[], object]) -> int:
        walks.clear()
        call()
        return len(walks)

    monkeypatch.setattr(safe_paths, "Walk", count)
    mounts = [(path, "web") for path in (top, top.parent, app.paths.shared / "data")]
    assert reads(lambda: require_no_way_out(release, mounts)) == 1
    assert reads(lambda: safe_paths.require_allowed(release, "data", "data/a")) == 1
    with open_directory(release, "data/a") as handle:
        assert len(walks) == 2
        assert reads(lambda: safe_paths.private_above(app.paths, handle)) == 1
