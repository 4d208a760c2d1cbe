"""Waiting until an app is up: containers that are waited for, and failures that end the wait."""

from __future__ import annotations

import json
import shlex
from typing import Any

import pytest

from gpuhost.runner.docker import waiting
from gpuhost.runner.docker.waiting import wait_until_up
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.state.container import Before, from_inspect
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


def set_containers_in_turn(
    programs: Programs, first: list[dict[str, Any]], then: list[dict[str, Any]]
) -> None:
    states = [programs.directory / name for name in ("first.json", "then.json")]
    for path, containers in zip(states, (first, then), strict=True):
        path.write_text(json.dumps(containers))
    now, later = (shlex.quote(str(path)) for path in states)
    programs.answer("docker inspect *", then=f"cat {now}; cp {later} {now}")


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


@pytest.mark.parametrize(
    ("policy", "later", "polls"),
    [
        ("on-failure", container("db", "exited"), 2),
        ("no", container("db", "exited"), 2),
        ("unless-stopped", container("db", "exited"), 1),
    ],
)
def test_one_that_may_end_by_itself_is_watched(
    release: Release, programs: Programs, policy: str, later: dict[str, Any], polls: int
) -> None:
    """It is known to have ended, not to have stopped, only if it was seen to end."""
    states = [[container("web"), one] for one in (container("db"), later)]
    for state in states:
        state[1]["HostConfig"] = {"RestartPolicy": {"Name": policy}}
    set_containers_in_turn(programs, *states)
    wait_until_up(release)
    assert len(programs.called("docker inspect")) == polls


def test_one_that_crashes_after_it_began_is_not_up(release: Release, programs: Programs) -> None:
    begun, crashed = container("db"), container("db", "exited", code=2)
    for each in (begun, crashed):
        each["HostConfig"] = {"RestartPolicy": {"Name": "no"}}
    set_containers_in_turn(programs, [container("web"), begun], [container("web"), crashed])
    with pytest.raises(Failure, match="db: exited with 2"):
        wait_until_up(release)


@pytest.mark.slow
def test_one_that_does_not_end_in_seconds_is_up(
    release: Release, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(waiting, "UNCLEAR_S", 0.3)
    lasts = container("db")
    lasts["HostConfig"] = {"RestartPolicy": {"Name": "on-failure"}}
    set_containers(programs, container("web"), lasts)
    wait_until_up(release)
    assert len(programs.called("docker inspect")) > 2
    # The next start does not start it: nothing is left to see.
    release.before = Before(by_id={one["Id"]: from_inspect(one) for one in (lasts,)})
    before = len(programs.called("docker inspect"))
    wait_until_up(release)
    assert len(programs.called("docker inspect")) == before + 1
