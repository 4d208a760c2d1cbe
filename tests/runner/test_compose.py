"""The resolved model of a release, and the command lines of Compose."""

from __future__ import annotations

import json
from collections.abc import Sequence
from typing import Any

import pytest

from gpuhost.runner.docker import services
from gpuhost.runner.docker.compose import config, section, services_to_start, store, words
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.files import write, write_json
from gpuhost.runner.plan import Migrate
from gpuhost.runner.stages.render import ensure_resolved, render, write_host_files
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

ASK = "docker compose config --format json"


def test_compose_is_asked_once_per_release(app: App, programs: Programs) -> None:
    programs.compose({"web": {}, "docs": {"build": {"context": "/x"}}})
    hidden = {"services": {"migrate": {"image": "web"}}}
    programs.answer("docker compose * json migrate", json.dumps(hidden))
    release = app.release(migrate=Migrate("migrate"), leave_out=("docs",))
    render(release)
    for opened in (release, Release.open(app.paths, release.plan.id)):
        assert services_to_start(opened) == ("web",)
        read = services.read(opened)
        assert {name: one.is_run for name, one in read.items()} == {
            "web": True, "docs": False, "migrate": True,
        }  # fmt: skip
        assert section(opened, "migrate")["image"] == "web"
        write_host_files(opened)
    asked = [line for line in programs.calls if line.startswith(ASK)]
    assert asked == [ASK, f"{ASK} migrate"]


def test_a_failed_compose_config_runs_again(app: App, programs: Programs) -> None:
    release = app.release()
    programs.answer("docker compose * config *", status=15, err="services.web is wrong\n")
    with pytest.raises(Failure):
        render(release)
    programs.compose({"web": {}})
    render(release)
    assert set(config(release)["services"]) == {"web"}


def test_a_damaged_model_is_a_failure(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    release = app.release()
    for text in ("{", "[]", '{"services": []}'):
        release.paths.resolved.write_text(text)
        with pytest.raises(Failure, match="json: damaged"):
            config(release)


def options(line: Sequence[str]) -> dict[str, list[str]]:
    names = ("-f", "--env-file", "--profile", "--project-directory")
    return {name: [line[at + 1] for at, w in enumerate(line) if w == name] for name in names}


def test_what_runs_is_one_file(app: App, programs: Programs) -> None:
    programs.compose({"web": {}})
    release = app.release(profiles=("gpu",))
    render(release)
    named = options(words(release, "ps"))
    assert named["-f"] == [str(release.paths.runs)]
    assert named["--env-file"] == ["/dev/null"]
    assert named["--profile"] == []
    assert named["--project-directory"] == [str(app.paths.shared)]
    assert options(words(release, "build", pinned=False))["-f"] == [str(release.paths.resolved)]


def test_a_release_of_an_older_gpuhost_is_resolved_when_it_is_activated(
    app: App, programs: Programs
) -> None:
    """Its second file has bound the ports and given restart policies: these stay as they are."""
    release = app.release(profiles=("gpu",))
    write(release.paths.override, "services: {}\n")
    release.paths.host.write_text("{}")
    named = options(words(release, "ps"))
    files = (release.paths.compose, release.paths.override, release.paths.host)
    assert named["-f"] == list(map(str, files))
    assert named["--profile"] == ["gpu"]
    port = {"target": 80, "published": "80"}
    data = {"type": "bind", "source": f"{app.paths.shared}/data", "target": "/data"}
    programs.compose({"web": {"restart": "always", "ports": [port], "volumes": [data]}, "one": {}})
    release.paths.resolved.unlink()
    ensure_resolved(release)
    resolved = config(release)["services"]
    assert resolved["web"] == {"restart": "always", "ports": [port], "volumes": [data]}
    assert resolved["one"] == {}
    assert options(words(release, "ps"))["-f"] == [str(release.paths.resolved)]
    asked = [line for line in programs.called("config") if "json" in line]
    assert asked == ["docker compose --profile gpu config --format json"]


def _model_with(values: int) -> dict[str, Any]:
    environment = {f"KEY_{n}_SECRET": f"value-of-{n}." for n in range(values)}
    return {"services": {name: {"environment": environment} for name in ("web", "worker")}}


def test_more_values_than_a_log_can_mask_are_refused(app: App) -> None:
    release = app.release()
    with pytest.raises(Failure, match="more than 500 values") as failure:
        store(release, _model_with(501))
    assert failure.value.fix
    assert not release.paths.resolved.exists()
    store(release, _model_with(500))
    assert release.log.masked("value-of-499.") != "value-of-499."


def test_a_release_of_an_older_gpuhost_with_more_values_can_be_opened(app: App) -> None:
    release = app.release()
    write_json(release.paths.resolved, _model_with(501))
    assert len(config(release)["services"]) == 2
    values = [f"value-of-{n}." for n in range(501)]
    assert sum(release.log.masked(value) != value for value in values) == 500
