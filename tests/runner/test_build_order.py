"""The order in which images are built, and what is refused before the first build."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.building.build_order import steps
from gpuhost.runner.docker.services import canonical, read
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Build, Migrate, Source
from gpuhost.runner.state.release import Release
from tests.runner.fake_tools import Docker, docker
from tests.runner.host_fixtures import App, app, as_resolved

__all__ = ["app", "docker"]

CASES = yaml.safe_load(Path(__file__).with_name("build_orders.yaml").read_text("utf-8"))


def prepare(case: dict[str, Any], app: App, docker: Docker) -> Release:
    """Writes the case's Dockerfiles into a release's source, and sets its services."""
    bases = {tag: (".", file) for tag, file in case.get("bases", {}).items()}
    build = Build(tuple(case.get("order", ())), case.get("args", {}), bases)
    migrate = Migrate(case["migrate"]) if "migrate" in case else None
    release = app.release(
        source=Source("archive", "r"),
        build=build,
        migrate=migrate,
        leave_out=tuple(case.get("leave_out", ())),
    )
    release.paths.source.mkdir()
    for name, text in case.get("files", {}).items():
        (release.paths.source / name).write_text(text)
    for group in ("services", "hidden"):
        for section in case.get(group, {}).values():
            if "build" in section:
                section["build"].setdefault("context", str(release.paths.source))
    docker.services, docker.hidden = case["services"], case.get("hidden", {})
    docker.write()
    as_resolved(release, {**docker.services, **docker.hidden})
    return release


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_build_order(case: dict[str, Any], app: App, docker: Docker) -> None:
    release = prepare(case, app, docker)
    if "built" in case:
        assert [step.name for step in steps(release, read(release))] == case["built"]
        return
    with pytest.raises(Failure) as failure:
        steps(release, read(release))
    told = " ".join([failure.value.said, *failure.value.output, failure.value.fix])
    assert [words for words in case["refused"] if words not in told] == [], told
    assert failure.value.fix


@pytest.mark.parametrize(
    ("image", "full"),
    [
        ("redis", "redis:latest"),
        ("docker.io/library/redis:7", "redis:7"),
        ("docker.io/me/app", "me/app:latest"),
        ("library/redis", "redis:latest"),
        ("registry.example:5000/app", "registry.example:5000/app:latest"),
        ("registry.example:5000/app:1", "registry.example:5000/app:1"),
        ("app@sha256:" + "a" * 64, "app@sha256:" + "a" * 64),
    ],
)
def test_image_names_are_canonical(image: str, full: str) -> None:
    assert canonical(image) == full
