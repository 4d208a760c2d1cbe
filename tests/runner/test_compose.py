"""What Compose makes of an app's files."""

from __future__ import annotations

import json

import pytest

from gpuhost.runner.docker import services
from gpuhost.runner.docker.compose import config, section, services_to_start
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages.render import render, write_host_files
from tests.runner.at_hand import App, Programs, app, programs

__all__ = ["app", "programs"]

ASK = "docker compose config --format json"


def test_compose_is_asked_once_what_it_makes_of_the_files(app: App, programs: Programs) -> None:
    programs.compose({"web": {}, "docs": {}})
    hidden = {"services": {"migrate": {"image": "web"}}}
    programs.answer("docker compose * json migrate", json.dumps(hidden))
    release = app.release(migrate=Migrate("migrate"), leave_out=("docs",))
    render(release)
    for _ in range(2):
        assert services_to_start(release) == ("web",)
        assert set(services.read(release)) == {"web", "docs", "migrate"}
        assert section(release, "migrate") == {"image": "web"}
        write_host_files(release)
    assert [line for line in programs.calls if line.startswith(ASK)] == [ASK, f"{ASK} migrate"]


def test_what_compose_refused_is_asked_again(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    release = app.release()
    programs.answer("docker compose * config *", status=15, err="services.web is wrong\n")
    with pytest.raises(Failure):
        config(release)
    programs.compose({"web": {}})
    assert config(release) == {"services": {"web": {}}}
