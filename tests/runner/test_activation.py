"""A release's containers are started: those of its profiles, as many as the app file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner import activation, containers
from gpuhost.runner.failure import Failure
from tests.runner.at_hand import App, Programs, app, programs

__all__ = ["app", "programs"]

UP = "docker compose up -d --no-build --remove-orphans"


def ups(programs: Programs) -> list[str]:
    return [line for line in programs.calls if " up " in line]


def test_services_that_are_left_out_are_not_started(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "worker": {}, "docs": {}})
    activation.start(app.release(leave_out=("docs",), scale={"worker": 3}))
    assert ups(programs) == [f"{UP} --scale=worker=3 api worker"]


def test_what_this_host_does_not_run_is_not_scaled(app: App, programs: Programs) -> None:
    """Compose refuses it: "no such service: cpu-worker: disabled"."""
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "docs": {}})
    activation.start(app.release(leave_out=("docs",), scale={"cpu-worker": 2, "docs": 2, "api": 2}))
    assert ups(programs) == [f"{UP} --scale=api=2 api"]


def test_compose_that_refuses_is_quoted(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker compose * up *", status=1, out="no such image: gpuhost/app/api:0123")
    with pytest.raises(Failure, match="docker compose up: no such image"):
        activation.start(app.release())


def described(name: str, service: str, image: str, **labels: str) -> dict[str, Any]:
    """A container, as `docker inspect` shows it."""
    return {
        "Name": f"/{name}",
        "State": {"Status": "running", "ExitCode": 0},
        "HostConfig": {"RestartPolicy": {"Name": "unless-stopped"}},
        "Config": {"Image": image, "Labels": {"com.docker.compose.service": service, **labels}},
    }


def test_containers_of_another_variant_make_room_and_those_of_a_person_stay(
    app: App, programs: Programs
) -> None:
    app.paths.shared.mkdir()
    programs.compose({"cpu-worker": {}})
    there = [
        described("app-cpu-worker-1", "cpu-worker", "gpuhost/app/cpu-worker:aaaaaaaaaaaa"),
        described("gpu", "gpu-worker", "gpuhost/app/gpu-worker:bbbbbbbbbbbb"),
        described("app-admin-1", "admin", "app:latest"),
        described("other", "gpu-worker", "gpuhost/app-two/gpu-worker:bbbbbbbbbbbb"),
        described(
            "gpuhost-app-migrate",
            "migrate",
            "gpuhost/app/migrate:cccccccccccc",
            **{"com.docker.compose.oneoff": "True"},
        ),
    ]
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(there))
    activation.start(app.release())
    changes = [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]
    assert changes == ["docker stop gpu", "docker rm -f gpu"]
    assert programs.calls.index(changes[1]) < programs.calls.index(ups(programs)[0])


def test_where_there_are_no_others_nothing_is_taken_down(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    activation.start(app.release())
    assert not [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]


def test_a_terminal_s_codes_are_not_part_of_a_log(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker compose * logs *", "\x1b[2Kapi-1  | \x1b[1;31mLoading\x1b[0m model\n")
    assert containers.logs(app.release()) == ("api-1  | Loading model",)
