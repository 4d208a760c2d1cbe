"""The build stage: every image is pulled or built, one at a time, and tagged."""

from __future__ import annotations

import json
import stat
from typing import Any

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Build, Edit, Migrate, Secret, Source
from gpuhost.runner.stages.build import build
from gpuhost.runner.state.release import Release
from tests.runner.build_fixtures import DEBIAN, a_release, isolated_host, log_text
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import NEW, App, app, as_resolved

__all__ = ["app", "docker", "isolated_host"]


def test_images_are_pulled_built_recorded_and_tagged(app: App, docker: Docker) -> None:
    docker.services = {
        "web": {"build": {**DEBIAN, "context": "/x"}},
        "cache": {"image": "redis:7"},
        "Old_Worker.2": {"image": "app-web"},
    }
    docker.hidden = {"migrate": {"image": "tool", "build": {"dockerfile_inline": "FROM app-web"}}}
    docker.registry = {"redis:7": {}}
    release = a_release(app, docker, migrate=Migrate("migrate"))
    build(release)
    assert docker.called("pull") == [["pull", "cache"]]
    assert docker.called("build") == [["build", "web"], ["build", "migrate"]]
    docker.read()
    record = Release.open(app.paths, NEW).record
    assert record.images == {
        name: docker.tags[image]
        for name, image in (
            ("web", "app-web:latest"),
            ("cache", "redis:7"),
            ("Old_Worker.2", "app-web:latest"),
            ("migrate", "tool:latest"),
        )
    }
    web = record.images["web"].removeprefix("sha256:")[:12]
    assert record.tags["web"] == f"gpuhost/app/web:{web}"
    assert record.tags["Old_Worker.2"] == f"gpuhost/app/old-worker-2:{web}"
    assert {docker.tags[tag] for tag in record.tags.values()} == set(record.images.values())
    assert set(record.build_memory) == {"web", "migrate"}


def test_a_build_gets_the_arguments_of_the_plan_and_no_secret(app: App, docker: Docker) -> None:
    """In a file, because every user of the host can read commands."""
    docker.services = {"web": {"build": {**DEBIAN, "args": {"OWN": "1", "B": "its own"}}}}
    release = a_release(
        app,
        docker,
        build=Build(args={"PIP": "https://me:pa$s@i.example", "B": "x y"}, no_cache=True),
    )
    release.paths.runs.write_text("{}")
    build(release)
    call = next(call for call in docker.calls if "build" in call["words"])
    words = call["words"]
    assert words[-4:] == ["--progress=plain", "build", "--no-cache", "web"]
    assert words[words.index("-f") + 1] == str(release.paths.builds)
    model = json.loads(release.paths.builds.read_text())
    arguments = {"OWN": "1", "B": "x y", "PIP": "https://me:pa$$s@i.example"}
    assert model["services"]["web"]["build"] == {**DEBIAN, "args": arguments}
    assert stat.S_IMODE(release.paths.builds.stat().st_mode) == 0o600
    assert str(release.paths.runs) not in words
    assert call["env"]["GPUHOST_SOURCE"] == str(release.paths.source)
    assert "DOCKER_CONFIG" not in call["env"]


def test_a_build_reads_a_secret_file_before_it_is_in_place(app: App, docker: Docker) -> None:
    docker.services = {
        "web": {"build": {**DEBIAN, "secrets": [{"source": "npmrc"}, {"source": "other"}]}}
    }
    at_rest = str(app.paths.shared / "conf/npmrc")
    declared = (Secret("NPMRC", path="./conf/npmrc"), Secret("UNUSED", path="unused"))
    given = {"NPMRC": "first line\nsecond $line", "UNUSED": "u"}
    release = a_release(app, docker, secrets=declared, given=given)
    files = {"npmrc": {"file": at_rest}, "other": {"file": "/etc/other"}}
    as_resolved(release, docker.services, secrets=files)
    build(release)
    call = next(call for call in docker.calls if "build" in call["words"])
    assert call["words"][call["words"].index("-f") + 1] == str(release.paths.builds)
    assert json.loads(release.paths.builds.read_text())["secrets"] == {
        "npmrc": {"environment": "GPUHOST_BUILD_SECRET_NPMRC"},
        "other": {"file": "/etc/other"},
    }
    assert call["env"]["GPUHOST_BUILD_SECRET_NPMRC"] == "first line\nsecond $line"
    assert "GPUHOST_BUILD_SECRET_UNUSED" not in call["env"]
    assert "second" not in release.paths.builds.read_text() + " ".join(call["words"])
    assert not app.paths.shared.joinpath("conf/npmrc").exists()


def test_a_second_build_has_the_same_images(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN}, "cache": {"image": "redis:7"}}
    docker.registry = {"redis:7": {}}
    release = a_release(app, docker)
    build(release)
    first = Release.open(app.paths, NEW).record
    build(Release.open(app.paths, NEW))
    second = Release.open(app.paths, NEW).record
    assert (first.images, first.tags) == (second.images, second.tags)
    assert len(docker.called("pull")) == 1
    assert "redis:7 is already on this host: sha256:" in log_text(release)


@pytest.mark.parametrize(
    ("policy", "is_here", "pulls"),
    [
        ("", True, 0),
        ("", False, 1),
        ("missing", True, 0),
        ("never", True, 0),
        ("always", True, 1),
        ("daily", True, 1),
        ("weekly", True, 1),
        ("every_12h", True, 1),
    ],
)
def test_when_an_image_is_pulled(
    app: App, docker: Docker, policy: str, is_here: bool, pulls: int
) -> None:
    docker.services = {name: {"image": "redis:7", "pull_policy": policy} for name in ("a", "b")}
    docker.registry = {"redis:7": {}}
    if is_here:
        docker.images = {"sha256:" + "a" * 64: {"Id": "sha256:" + "a" * 64}}
        docker.tags = {"redis:7": "sha256:" + "a" * 64}
    build(a_release(app, docker))
    assert len(docker.called("pull")) == pulls


def test_an_image_of_several_services_is_inspected_once(app: App, docker: Docker) -> None:
    docker.services = {"web": {"build": DEBIAN, "image": "all"}}
    docker.services |= {name: {"image": "all"} for name in ("worker", "beat")}
    build(a_release(app, docker))
    assert docker.called("inspect") == [["inspect", "all:latest"]]


@pytest.mark.parametrize(
    ("service", "said", "fix"),
    [
        ({"image": "me/none:1"}, "pulling me/none:1: no image me/none", "registries"),
        ({"image": "me/none:1", "pull_policy": "never"}, "of service web is not on this host",
         "docker load"),
    ],
)  # fmt: skip
def test_a_missing_image(
    app: App, docker: Docker, service: dict[str, Any], said: str, fix: str
) -> None:
    docker.services = {"web": service}
    with pytest.raises(Failure, match=said) as failure:
        build(a_release(app, docker))
    assert fix in failure.value.fix


def an_id(number: int) -> str:
    return f"20260101-000000-{number:08x}"


@pytest.mark.slow
def test_a_base_is_built_if_it_is_missing_or_its_inputs_have_changed(
    app: App, docker: Docker
) -> None:
    docker.services = {"web": {"build": {"dockerfile_inline": "FROM base:1"}}}

    def base_builds(
        number: int, revision: str, *, overlay: str = "", edits: tuple[Edit, ...] = (), **more: Any
    ) -> int:
        """How many times a release of this revision builds the base."""
        before = len(docker.called("build"))
        release = a_release(
            app,
            docker,
            an_id(number),
            source=Source("archive", revision, overlay=overlay, edits=edits),
            build=Build(bases={"base:1": (".", "base")}, **more),
        )
        (release.paths.source / "base").write_text(f"FROM debian:{revision}")
        build(release)
        docker.read()
        return len(docker.called("build")) - before - 1

    assert base_builds(1, "one") == 1
    assert base_builds(2, "one") == 0
    assert base_builds(3, "one", no_cache=True) == 1
    assert base_builds(4, "two") == 1
    assert base_builds(5, "two", args={"A": "b"}) == 1
    docker.tags.pop("base:1")
    assert base_builds(6, "two", args={"A": "b"}) == 1
    laid: dict[str, Any] = {"args": {"A": "b"}, "overlay": "1"}
    assert [base_builds(n, "two", **laid) for n in (8, 9)] == [1, 0]
    assert base_builds(10, "two", **{**laid, "overlay": "2"}) == 1
    edited = {**laid, "overlay": "2", "edits": (Edit("base", "a", "b", "why"),)}
    assert [base_builds(n, "two", **edited) for n in (11, 12)] == [1, 0]
    edited["edits"] = (Edit("base", "a", "c", "why"),)
    assert base_builds(13, "two", **edited) == 1
    # A base that a person has loaded is kept, even if the source has changed.
    docker.images["sha256:" + "e" * 64] = {"Id": "sha256:" + "e" * 64}
    docker.tags["base:1"] = "sha256:" + "e" * 64
    assert base_builds(7, "three", no_cache=True) == 0
    assert docker.tags["base:1"] == "sha256:" + "e" * 64
    assert "kept, gpuhost did not build it" in log_text(Release.open(app.paths, an_id(7)))
    first = app.paths.release(an_id(1))
    assert json.loads(first.builds.read_text())["services"]["gpuhost-base-0"] == {
        "image": "base:1",
        "build": {"context": str(first.source), "dockerfile": str(first.source / "base")},
    }
