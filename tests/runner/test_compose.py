"""The configuration that Compose makes of an app's files."""

from __future__ import annotations

import json

import pytest

from gpuhost.runner.docker import services
from gpuhost.runner.docker.compose import config, section, services_to_start
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages.render import render, write_host_files
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

ASK = "docker compose config --format json"


def test_compose_config_runs_once_per_release(app: App, programs: Programs) -> None:
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


def test_a_failed_compose_config_runs_again(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    release = app.release()
    programs.answer("docker compose * config *", status=15, err="services.web is wrong\n")
    with pytest.raises(Failure):
        config(release)
    programs.compose({"web": {}})
    assert config(release) == {"services": {"web": {}}}
