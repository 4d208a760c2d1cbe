"""From started to up: what is waited for, and what ends the waiting at once."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.docker import waiting
from gpuhost.runner.docker.waiting import wait_until_up
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.state.release import Release
from tests.runner.at_hand import App, Programs, app, programs

__all__ = ["app", "programs"]


def one(service: str, status: str = "running", health: str = "", code: int = 0) -> dict[str, Any]:
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


def there(programs: Programs, *found: dict[str, Any]) -> None:
    programs.answer("docker inspect *", json.dumps(found))


def test_each_look_asks_the_engine_once(release: Release, programs: Programs) -> None:
    there(programs, one("web", health="healthy"), one("db"))
    wait_until_up(release)
    assert (len(programs.called("docker ps")), len(programs.called("docker inspect"))) == (1, 1)


def test_what_a_person_started_is_not_waited_for(release: Release, programs: Programs) -> None:
    there(programs, one("web"), one("admin", "exited", code=1), one("shell", health="starting"))
    wait_until_up(release)
    assert len(programs.called("docker ps")) == 1, "it did not look twice"


@pytest.mark.slow
def test_what_loads_is_waited_for_and_said(release: Release, programs: Programs) -> None:
    there(programs, one("web", health="starting"), one("db"))
    programs.answer("docker compose * logs *", "web | loading the model\n")
    with pytest.raises(Failure, match="not up after 1 s: web is starting"):
        wait_until_up(release)
    assert "web is starting; still loading: web | loading the model" in (
        release.paths.log.read_text()
    )


def test_what_ended_is_not_waited_for(release: Release, programs: Programs) -> None:
    there(programs, one("web", "exited", code=3), one("db", health="starting"))
    with pytest.raises(Failure, match="web: exited with 3"):
        wait_until_up(release)


@pytest.mark.slow
def test_nothing_that_was_started_is_not_up(release: Release, programs: Programs) -> None:
    there(programs, one("admin"))
    with pytest.raises(Failure, match="no container was started"):
        wait_until_up(release)
