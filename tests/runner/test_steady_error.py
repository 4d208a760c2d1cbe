"""An error that a healthy app answers each time ends a step; a loading app is asked again."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import cycle
from typing import Any

import pytest

from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import HttpRequest, Verify, VerifyStep
from gpuhost.runner.stages import steady_error, verification
from gpuhost.runner.stages.verification import verify
from tests.runner.host_fixtures import App, Programs, app, programs
from tests.runner.site import Site, free_port, serve

__all__ = ["app", "programs"]

# Attempts before a step that is not ended early gets its good answer.
PATIENT = 12


@pytest.fixture(autouse=True)
def quick(monkeypatch: pytest.MonkeyPatch, programs: Programs) -> None:
    monkeypatch.setattr(verification, "PAUSE", 0.005)
    monkeypatch.setattr(steady_error, "STEADY_S", 0.1)
    programs.compose({"web": {}})
    programs.answer("docker ps *", "some")


@pytest.fixture
def site() -> Iterator[Site]:
    with serve() as made:
        yield made


def container(port: int, health: str | None = "healthy") -> dict[str, Any]:
    """A running container that publishes a port, as Docker 20.10 describes one."""
    state: dict[str, Any] = {"Status": "running", "ExitCode": 0, "OOMKilled": False}
    if health:
        state["Health"] = {"Status": health, "FailingStreak": 0, "Log": []}
    bound = [{"HostIp": "127.0.0.1", "HostPort": str(port)}, {"HostIp": "::1", "HostPort": ""}]
    return {
        "Id": "1",
        "Name": "/app-web-1",
        "State": state,
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "Config": {"Labels": {"com.docker.compose.service": "web"}},
        "NetworkSettings": {"Ports": {"3000/tcp": bound, "9000/tcp": None}},
    }


def step(app: App, site: Site, *answers: int, **more: Any) -> None:
    """Verify a GET that gets these answers in turn, and after PATIENT attempts a good one."""
    left, count = cycle(answers), iter(range(PATIENT))

    def reply() -> tuple[int, dict[str, str], bytes]:
        number = next(count, None)
        body = f"request {number}".encode()
        return (200, {}, b"good") if number is None else (next(left), {}, body)

    site.replies["/"] = reply
    through = site.url().rstrip("/") if more.get("through") else ""
    url = f"http://127.0.0.1:{free_port()}/" if through else site.url()
    request = VerifyStep("it answers", 600, request=HttpRequest(url), through=through)
    release = app.release(verify=Verify(steps=(request,), loading=("Loading model",)))
    verify(release, through=bool(through))


@pytest.mark.parametrize("status", [500, 501, 404, 401])
def test_a_healthy_app_with_a_steady_error_fails_early(
    app: App, programs: Programs, site: Site, status: int
) -> None:
    programs.answer("docker inspect *", json.dumps([container(site.port)]))
    with pytest.raises(Failure) as raised:
        step(app, site, status)
    assert f"expected status 200, got {status} (the same answer for 0 s)" in raised.value.said
    assert "add a line of its log to verify.loading" in raised.value.fix
    assert raised.value.output[0].startswith("the answer begins: request ")


def test_a_steady_error_of_nginx_fails_early(app: App, programs: Programs, site: Site) -> None:
    """The step has passed without nginx: no container is asked."""
    programs.answer("docker inspect *", json.dumps([container(1, health=None)]))
    with pytest.raises(Failure, match=r"through nginx: .* got 404 .the same answer"):
        step(app, site, 404, through=True)


@pytest.mark.parametrize(
    ("health", "port_offset", "log", "answers"),
    [
        pytest.param("healthy", 0, "web | Loading model 3/7\n", (500,), id="says that it loads"),
        pytest.param("starting", 0, "", (500,), id="not healthy yet"),
        pytest.param(None, 0, "", (500,), id="no health check"),
        pytest.param("healthy", 1, "", (500,), id="another container is healthy"),
        pytest.param("healthy", 0, "", (503,), id="503"),
        pytest.param("healthy", 0, "", (502,), id="502"),
        pytest.param("healthy", 0, "", (429,), id="429"),
        pytest.param("healthy", 0, "", (204,), id="no error"),
        pytest.param("healthy", 0, "", (500, 503), id="changing"),
    ],
)
def test_an_app_that_may_still_load_is_asked_again(
    app: App,
    programs: Programs,
    site: Site,
    health: str | None,
    port_offset: int,
    log: str,
    answers: tuple[int, ...],
) -> None:
    made = container(site.port + port_offset, health)
    programs.answer("docker inspect *", json.dumps([made]))
    programs.answer("docker compose * logs *", log)
    step(app, site, *answers)
    assert len(site.asked) == PATIENT + 1


def test_a_refused_connection_is_tried_again(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(verification, "PAUSE", 0.05)
    port = free_port()
    programs.answer("docker inspect *", json.dumps([container(port)]))
    request = HttpRequest(f"http://127.0.0.1:{port}/")
    release = app.release(verify=Verify(steps=(VerifyStep("it answers", 1, request=request),)))
    with pytest.raises(Failure, match=r"connection refused \(for 1 s\)"):
        verify(release)


def test_a_post_with_an_error_is_sent_once(app: App, programs: Programs, site: Site) -> None:
    site.says("/", "no such voice", 500)
    programs.answer("docker inspect *", json.dumps([container(site.port)]))
    request = HttpRequest(site.url(), method="POST", body="{}")
    made = VerifyStep("it answers", 600, request=request)
    release = app.release(verify=Verify(steps=(made,)))
    with pytest.raises(Failure, match=r"got 500$"):
        verify(release)
    assert len(site.asked) == 1
