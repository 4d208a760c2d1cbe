"""Activation: the containers of a release are started, and those of others are removed."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.runner.docker import containers, watch
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.stages import activation
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]

COMPLETED = "service_completed_successfully"
ENDED_WELL = {
    "State": {"Status": "exited", "ExitCode": 0},
    "HostConfig": {"RestartPolicy": {"Name": "no"}},
}
UP = "docker compose up -d --no-build"


def ups(programs: Programs) -> list[str]:
    return [line for line in programs.calls if " up " in line]


def test_services_that_are_left_out_are_not_started(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}, "worker": {}, "docs": {}})
    activation.start(app.release(leave_out=("docs",)))
    assert ups(programs) == [f"{UP} api worker"]


def test_an_error_of_compose_is_quoted(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker compose * up *", status=1, out="no such image: gpuhost/app/api:0123")
    with pytest.raises(Failure, match="docker compose up: no such image"):
        activation.start(app.release())


def container(
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


def test_containers_of_another_variant_are_removed_and_manually_started_ones_stay(
    app: App, programs: Programs
) -> None:
    app.paths.shared.mkdir()
    programs.compose({"cpu-worker": {}}, inactive=("gpu-worker", "admin"))
    containers_on_host = [
        container("app-cpu-worker-1", "cpu-worker", "gpuhost/app/cpu-worker:aaaaaaaaaaaa"),
        container("gpu", "gpu-worker", "gpuhost/app/gpu-worker:bbbbbbbbbbbb"),
        container("app-admin-1", "admin", "app:latest"),
        container("app-orphan-1", "orphan", "app:latest"),
        container("other", "gpu-worker", "gpuhost/app-two/gpu-worker:bbbbbbbbbbbb"),
        container(
            "gpuhost-app-migrate",
            "migrate",
            "gpuhost/app/migrate:cccccccccccc",
            **{"com.docker.compose.oneoff": "True"},
        ),
    ]
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(containers_on_host))
    activation.start(app.release())
    changes = [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]
    assert changes == ["docker stop app-orphan-1 gpu", "docker rm -f app-orphan-1 gpu"]
    assert programs.calls.index(changes[1]) < programs.calls.index(ups(programs)[0])


def test_a_container_that_an_interrupted_compose_left_is_removed(
    app: App, programs: Programs
) -> None:
    """Compose creates a container under a temporary name, and then fails as the name exists."""
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    image = "gpuhost/app/api:aaaaaaaaaaaa"
    containers_on_host = [
        container("app-api-1", "api", image),
        container("573ea0d35fa4_app-api-1", "api", image, status="created"),
        # Both stay: one was started by a person, the other has only not started yet.
        container("0123456789ab_app-api-1", "api", image),
        container("app-api-2", "api", image, status="created"),
    ]
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(containers_on_host))
    activation.start(app.release())
    changes = [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]
    temporary = "573ea0d35fa4_app-api-1"
    assert changes == [f"docker stop {temporary}", f"docker rm -f {temporary}"]
    assert programs.calls.index(changes[1]) < programs.calls.index(ups(programs)[0])


def test_without_other_containers_nothing_is_removed(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    activation.start(app.release())
    assert not [line for line in programs.calls if line.startswith(("docker stop", "docker rm"))]


def test_escape_sequences_are_removed_from_logs(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    programs.compose({"api": {}})
    programs.answer("docker compose * logs *", "\x1b[2Kapi-1  | \x1b[1;31mLoading\x1b[0m model\n")
    assert containers.logs(app.release()) == ("api-1  | Loading model",)


LOOPS = container("db", "db", "gpuhost/app/db:aaaaaaaaaaaa", status="restarting", restarts=3)
ENDED = container("db", "db", "gpuhost/app/db:aaaaaaaaaaaa", status="exited")
OLD = container("web-before", "web", "gpuhost/app/web:bbbbbbbbbbbb", status="exited")


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


def set_containers(
    programs: Programs, *, before: list[dict[str, Any]], made: list[dict[str, Any]]
) -> None:
    """The containers before `up`, and after it has started."""
    programs.answer("docker ps *", "some")
    later = json.dumps([*before, *made])
    after_up = f"if grep -q ' up ' {programs.directory}/calls; then echo '{later}'; exit; fi"
    programs.answer("docker inspect *", then=f"{after_up}; echo '{json.dumps(before)}'")


def test_a_restart_loop_stops_the_wait_of_compose_and_is_named(
    app: App, starting: Programs
) -> None:
    set_containers(starting, before=[OLD], made=[LOOPS])
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
        # A container that Compose has stopped, or that looped before, is not the cause.
        ([OLD, LOOPS], [], "", "docker compose up: port 80 is already published by another"),
    ],
)
def test_the_cause_of_a_failed_compose_is_read_from_the_containers_it_created(
    app: App,
    starting: Programs,
    before: list[dict[str, Any]],
    made: list[dict[str, Any]],
    log: str,
    said: str,
) -> None:
    set_containers(starting, before=before, made=made)
    taken = "Bind for 0.0.0.0:80 failed: port is already allocated\n"
    starting.answer("docker compose * up *", taken, status=1)
    starting.answer("docker compose * logs *", log)
    with pytest.raises(Failure) as raised:
        activation.start(app.release(verify=Verify(fatal=("no kernel",))))
    assert raised.value.said.startswith(said)
    assert raised.value.output == (taken.strip(),)
    assert not starting.called("docker stop")


def test_the_container_that_compose_timed_out_on_is_named(
    app: App, starting: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(activation, "SPARE", 0)
    set_containers(starting, before=[LOOPS], made=[])
    starting.answer("docker compose * up *", "Container db Waiting\n", then="exec sleep 10")
    with pytest.raises(Failure, match="took too long and was stopped; db is restarting"):
        activation.start(app.release(verify=Verify(start_s=1)))


def test_a_server_without_a_restart_policy_gets_one(app: App, programs: Programs) -> None:
    app.paths.shared.mkdir()
    services: dict[str, Any] = {
        "web": {}, "init": {}, "always": {"restart": "always"}, "no": {"restart": "no"},
        "seed": {}, "waits": {"depends_on": {"seed": {"condition": COMPLETED}}}, "pull": {},
    }  # fmt: skip
    programs.compose(services)
    image = "gpuhost/app/x:aaaaaaaaaaaa"
    made = [container(name, name, image) for name in services]
    for each in made:
        each["HostConfig"]["RestartPolicy"]["Name"] = "no"
    made[0]["Config"]["ExposedPorts"] = {"80/tcp": {}}
    made[1]["State"] = {"Status": "exited", "ExitCode": 0}
    made[5]["Config"]["Healthcheck"] = {"Test": ["CMD", "true"]}
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps(made))
    release = app.release()
    activation.keep_running(release)
    assert programs.called("docker update") == [
        "docker update --restart unless-stopped waits web",
    ]
    notes = [line for line in release.paths.log.read_text().splitlines() if "one_shots" in line]
    assert [note.split(" still runs")[0].split()[-1] for note in notes] == ["pull"]


def test_a_one_shot_must_end(app: App, programs: Programs) -> None:
    programs.compose({"init": {}})
    made = container("init", "init", "gpuhost/app/x:aaaaaaaaaaaa")
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps([made]))
    release = app.release(one_shots=("init",))
    (running,) = containers.release_containers(release)
    assert not running.is_up
    programs.answer("docker inspect *", json.dumps([{**made, **ENDED_WELL}]))
    (ended,) = containers.release_containers(release)
    assert ended.is_up
    assert ended.trouble is None
