"""A release's containers are started: those of its profiles, as many as the app file says."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.docker import containers, watch
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.stages import activation
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


def described(
    name: str,
    service: str,
    image: str,
    *,
    status: str = "running",
    restarts: int = 0,
    **labels: str,
) -> dict[str, Any]:
    """A container, as `docker inspect` shows it."""
    return {
        "Id": f"id-of-{name}",
        "RestartCount": restarts,
        "Name": f"/{name}",
        "State": {"Status": status, "ExitCode": int(status != "running")},
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


def test_what_compose_had_half_made_when_it_was_cut_off_makes_room(
    app: App, programs: Programs
) -> None:
    """It makes a container under a name of the moment, and next time finds that name taken."""
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    image = "gpuhost/app/api:aaaaaaaaaaaa"
    there = [
        described("app-api-1", "api", image),
        described("573ea0d35fa4_app-api-1", "api", image, status="created"),
        # Started, and so somebody's; and one that only has not been started yet.
        described("0123456789ab_app-api-1", "api", image),
        described("app-api-2", "api", image, status="created"),
    ]
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(there))
    activation.start(app.release())
    changes = [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]
    half_made = "573ea0d35fa4_app-api-1"
    assert changes == [f"docker stop {half_made}", f"docker rm -f {half_made}"]
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


LOOPS = described("db", "db", "gpuhost/app/db:aaaaaaaaaaaa", status="restarting", restarts=3)
ENDED = described("db", "db", "gpuhost/app/db:aaaaaaaaaaaa", status="exited")
OLD = described("web-before", "web", "gpuhost/app/web:bbbbbbbbbbbb", status="exited")


@pytest.fixture
def starting(app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Programs:
    """A project whose `up` waits until a container is stopped."""
    monkeypatch.setattr(watch, "PAUSE", 0.01)
    app.paths.shared.mkdir()
    programs.compose({"web": {}, "db": {}})
    stopped = programs.directory / "stopped"
    programs.answer("docker stop *", then=f"touch {stopped}")
    waits = f"for i in $(seq 100); do [ -e {stopped} ] && exit 1; sleep 0.1; done"
    programs.answer("docker compose * up *", "container db exited (1)\n", then=waits)
    return programs


def has(programs: Programs, *, before: list[dict[str, Any]], made: list[dict[str, Any]]) -> None:
    """What there is before `up`, and after it began."""
    programs.answer("docker ps *", "some")
    later = json.dumps([*before, *made])
    has_begun = f"if grep -q ' up ' {programs.directory}/calls; then echo '{later}'; exit; fi"
    programs.answer("docker inspect *", then=f"{has_begun}; echo '{json.dumps(before)}'")


def test_a_restart_loop_ends_compose_that_waits_for_it_and_is_named(
    app: App, starting: Programs
) -> None:
    has(starting, before=[OLD], made=[LOOPS])
    with pytest.raises(Failure) as raised:
        activation.start(app.release())
    assert raised.value.said == "docker compose up: db: restart loop, exit 1 each time"
    assert raised.value.output == ("container db exited (1)",)
    assert starting.called("docker stop") == ["docker stop -t 10 db"]


@pytest.mark.parametrize(
    ("before", "made", "log", "said"),
    [
        ([OLD], [ENDED], "", "docker compose up: db: exited with 1"),
        (
            [OLD],
            [],
            "web | no kernel\n",
            "docker compose up: fatal line in its log: web | no kernel",
        ),
        # What Compose itself has stopped, and what looped before, is not why.
        ([OLD, LOOPS], [], "", "docker compose up: port 80 is published by another container"),
    ],
)
def test_what_compose_failed_of_is_asked_of_the_containers_that_it_made(
    app: App,
    starting: Programs,
    before: list[dict[str, Any]],
    made: list[dict[str, Any]],
    log: str,
    said: str,
) -> None:
    has(starting, before=before, made=made)
    taken = "Bind for 0.0.0.0:80 failed: port is already allocated\n"
    starting.answer("docker compose * up *", taken, status=1)
    starting.answer("docker compose * logs *", log)
    with pytest.raises(Failure) as raised:
        activation.start(app.release(verify=Verify(fatal=("no kernel",))))
    assert raised.value.said.startswith(said)
    assert raised.value.output == (taken.strip(),)
    assert not starting.called("docker stop")


def test_what_compose_waited_for_in_vain_is_named(
    app: App, starting: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "SPARE", 0)
    has(starting, before=[LOOPS], made=[])
    starting.answer("docker compose * up *", "Container db Waiting\n", then="exec sleep 10")
    with pytest.raises(Failure, match="took too long and was stopped; db is restarting"):
        activation.start(app.release(verify=Verify(start_s=1)))
