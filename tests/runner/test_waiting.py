"""Waiting until an app is up: containers that are waited for, and failures that end the wait."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.docker import waiting
from gpuhost.runner.docker.waiting import wait_until_up
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]


def container(
    service: str, status: str = "running", health: str = "", code: int = 0
) -> dict[str, Any]:
    state: dict[str, Any] = {"Status": status, "ExitCode": code}
    if health:
        state["Health"] = {"Status": health}
    return {
        "Id": service,
        "Name": f"/{service}",
        "State": state,
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
        "Config": {"Labels": {"com.docker.compose.service": service}},
    }


@pytest.fixture
def release(app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    monkeypatch.setattr(waiting, "LOG_EVERY_S", 0.0)
    app.paths.shared.mkdir()
    programs.compose({"web": {}, "db": {}})
    programs.answer("docker ps *", "some")
    return app.release(verify=Verify(start_s=1, loading=("loading",)))


def set_containers(programs: Programs, *containers: dict[str, Any]) -> None:
    programs.answer("docker inspect *", json.dumps(containers))


def test_each_poll_reads_the_containers_once(release: Release, programs: Programs) -> None:
    set_containers(programs, container("web", health="healthy"), container("db"))
    wait_until_up(release)
    assert (len(programs.called("docker ps")), len(programs.called("docker inspect"))) == (1, 1)


def test_manually_started_containers_are_not_waited_for(
    release: Release, programs: Programs
) -> None:
    set_containers(
        programs,
        container("web"),
        container("admin", "exited", code=1),
        container("shell", health="starting"),
    )
    wait_until_up(release)
    assert len(programs.called("docker ps")) == 1, "it polled once"


@pytest.mark.slow
def test_a_starting_container_is_waited_for_and_logged(
    release: Release, programs: Programs
) -> None:
    set_containers(programs, container("web", health="starting"), container("db"))
    programs.answer("docker compose * logs *", "web | loading the model\n")
    with pytest.raises(Failure, match="not up after 1 s: web is starting"):
        wait_until_up(release)
    assert "still loading: web | loading the model; web is starting" in (
        release.paths.log.read_text()
    )


def test_an_exited_container_fails_without_waiting(release: Release, programs: Programs) -> None:
    set_containers(programs, container("web", "exited", code=3), container("db", health="starting"))
    with pytest.raises(Failure, match="web: exited with 3"):
        wait_until_up(release)


@pytest.mark.slow
def test_without_containers_of_the_app_waiting_fails(release: Release, programs: Programs) -> None:
    set_containers(programs, container("admin"))
    with pytest.raises(Failure, match="no container was started"):
        wait_until_up(release)
