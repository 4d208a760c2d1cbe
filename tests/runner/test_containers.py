"""Problems of an app's containers, from the state that Docker reports."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.contract import AppPaths, ReleasePaths
from gpuhost.runner.docker import containers
from gpuhost.runner.lib import running
from gpuhost.runner.lib.commands import Outcome
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.lib.log import Log
from gpuhost.runner.plan import Plan, Verify
from gpuhost.runner.state.container import Before
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import App, Programs, app, programs

__all__ = ["app", "programs"]


def a_container(
    status: str = "running",
    *,
    service: str = "web",
    code: int = 0,
    restarts: int = 0,
    oom: bool = False,
    policy: str = "unless-stopped",
    health: str | None = None,
    run: bool = False,
    started: str = "",
) -> dict[str, Any]:
    """A container, as `docker inspect` shows it."""
    labels = {"com.docker.compose.service": service, "com.docker.compose.oneoff": str(run)}
    state: dict[str, Any] = {
        "Status": status,
        "ExitCode": code,
        "OOMKilled": oom,
        "StartedAt": started,
    }
    if health:
        state["Health"] = {"Status": health}
    return {
        "Id": f"id-of-{service}",
        "Name": f"/app-{service}-1",
        "State": state,
        "RestartCount": restarts,
        "Created": "2026-01-01T00:00:00Z",
        "Config": {"Labels": labels, "Image": "web"},
        "HostConfig": {"RestartPolicy": {"Name": policy}},
    }


@pytest.fixture
def release(tmp_path: Path) -> Release:
    plan = Plan(app="app", id="1", inputs="", by="", project="app", revision="")
    return Release(AppPaths(tmp_path), ReleasePaths(tmp_path), plan, Log(tmp_path / "log"))


def engine(
    monkeypatch: pytest.MonkeyPatch, *described: dict[str, Any], events: str = "", log: str = ""
) -> None:
    def docker(log: Log, program: str, verb: str, *words: str, **how: Any) -> Outcome:
        answers = {"ps": "id\n", "inspect": json.dumps(described), "events": events}
        return Outcome(0, answers[verb], ())

    def log_lines(release: Release, lines: int, *services: str) -> tuple[str, ...]:
        return tuple(line for line in log.splitlines() if line.startswith(services))

    monkeypatch.setattr(containers, "try_run", docker)
    monkeypatch.setattr(containers, "run", lambda *words, **how: docker(*words, **how).out)
    monkeypatch.setattr(containers, "_log_lines", log_lines)
    monkeypatch.setattr(containers, "services_to_start", lambda release: ("web", "db"))
    monkeypatch.setattr(containers, "config", lambda release: {"services": {}})


@pytest.mark.parametrize(
    ("described", "events", "says"),
    [
        (a_container(), "", None),
        (a_container(health="starting"), "", None),
        (a_container(health="unhealthy"), "", None),
        (a_container("restarting", restarts=1, code=1), "die 1\n", None),
        (a_container("exited", policy="no"), "", None),
        (a_container("exited", code=1, run=True), "", None),
        # A service of another profile, started by a person.
        (a_container("exited", code=1, service="admin", policy="no"), "", None),
        (a_container("exited", policy="on-failure"), "", None),
        (a_container("exited", code=2, policy="on-failure"), "", "web: exited with 2"),
        (a_container("exited", code=3), "", "web: exited with 3"),
        (a_container("exited", code=0), "", "web: exited with 0"),
        (a_container("exited", code=1, policy="no"), "", "web: exited with 1"),
        (
            a_container("exited", code=137),
            "",
            "web: exited with 137 (killed: out of memory, or stopped by force)",
        ),
        (
            a_container("exited", code=137, oom=True),
            "",
            "web: out of memory, the kernel killed it (OOM)",
        ),
        # It runs again, and its state does not show how it ended.
        (
            a_container(restarts=3),
            "die 1\ndie 1\ndie 1\n",
            "web: restart loop, exit 1 each time",
        ),
        (
            a_container(restarts=1),
            "oom \ndie 137\n",
            "web: out of memory, the kernel killed it (OOM)",
        ),
        (a_container(restarts=4, code=5), "", "web: restart loop, exit 5 each time"),
    ],
)
def test_the_problem_of_a_container(
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any],
    events: str,
    says: str | None,
) -> None:
    engine(monkeypatch, described, events=events)
    assert containers.find_trouble(release) == says


def long_ago(**how: Any) -> dict[str, Any]:
    return a_container(service="db", started="2025-01-01T00:00:00Z", **how)


@pytest.mark.parametrize(
    ("then", "now", "says"),
    [
        (long_ago(restarts=3), long_ago(restarts=3), None),
        (long_ago(restarts=7), long_ago(restarts=9), None),
        (long_ago(restarts=3), long_ago(restarts=6), "db: restart loop, exit 0 each time"),
        # Compose recreated it, and Docker counts from zero.
        (long_ago(restarts=7), long_ago(restarts=3), "db: restart loop, exit 0 each time"),
        (long_ago(oom=True), long_ago(oom=True), None),
        (
            long_ago(oom=True),
            a_container(service="db", oom=True, started="2026-01-01T00:00:00Z"),
            "db: out of memory, the kernel killed it (OOM)",
        ),
        (long_ago(), long_ago(oom=True), "db: out of memory, the kernel killed it (OOM)"),
    ],
)
def test_what_a_container_did_before_the_start_does_not_count(
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    then: dict[str, Any],
    now: dict[str, Any],
    says: str | None,
) -> None:
    engine(monkeypatch, then)
    containers.note_existing(release)
    engine(monkeypatch, now, a_container())
    assert containers.find_trouble(release) == says


def test_events_are_read_since_the_start_or_the_creation_of_the_container(
    app: App, programs: Programs
) -> None:
    app.paths.shared.mkdir()
    programs.compose({"web": {}, "db": {}})
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", json.dumps([long_ago(restarts=1)]))
    release = app.release()
    containers.note_existing(release)
    now = [long_ago(restarts=2), a_container(restarts=1)]
    programs.answer("docker inspect *", json.dumps(now))
    assert containers.find_trouble(release) is None
    since = [line.split(" --until ")[0] for line in programs.called("events")]
    assert since == [
        f"docker events --since {release.before.at}",
        "docker events --since 2026-01-01T00:00:00Z",
    ]


def test_if_the_clock_was_set_back_no_events_are_asked_for(app: App, programs: Programs) -> None:
    """The engine refuses a period that ends before it begins."""
    app.paths.shared.mkdir()
    programs.compose({"web": {}, "db": {}})
    programs.answer("docker ps *", "some")
    programs.answer("docker events *", status=1, err="`since` cannot be after `until`\n")
    container = {**a_container(restarts=1), "Created": "2999-01-01T00:00:00Z"}
    programs.answer("docker inspect *", json.dumps([container]))
    assert containers.find_trouble(app.release()) is None
    assert programs.called("events") == []


def test_a_line_that_is_declared_fatal(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, a_container(), log="web-1 | fine\nweb-1 | CUDA out of memory\n")
    assert containers.find_trouble(release) is None
    release.plan = Plan(
        app="app",
        id="1",
        inputs="",
        by="",
        project="app",
        revision="",
        verify=Verify(fatal=("CUDA out of memory",)),
    )
    assert containers.find_trouble(release) == "fatal line in its log: web-1 | CUDA out of memory"


@pytest.mark.parametrize(
    ("described", "is_up"),
    [
        (a_container(), True),
        (a_container(health="healthy"), True),
        (a_container(health="starting"), False),
        (a_container(health="unhealthy"), False),
        (a_container("restarting"), False),
        (a_container("exited", policy="no"), True),
        (a_container("exited", policy="no", code=1), False),
        (a_container("exited"), False),
    ],
)
def test_which_containers_are_up(
    release: Release, monkeypatch: pytest.MonkeyPatch, described: dict[str, Any], is_up: bool
) -> None:
    engine(monkeypatch, described)
    (container,) = containers.project_containers(release)
    assert container.is_up is is_up


def test_containers_with_a_large_description(
    app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Each of them is within the largest size of an answer, and all together are not."""
    large = [{**a_container(service=f"s{n}"), "Env": "x" * 3000} for n in range(5)]
    programs.answer("docker ps *", "".join(f"{n}\n" for n in range(5)))
    for n, each in enumerate(large):
        programs.answer(f"docker inspect {n}", json.dumps([each]))
    programs.answer("docker inspect * *", json.dumps(large))
    monkeypatch.setattr(running, "MOST_OUTPUT", 5000)
    release = app.release()
    assert len(containers.note_existing(release)) == len(large)
    monkeypatch.setattr(running, "MOST_OUTPUT", 1000)
    with pytest.raises(Failure, match="docker inspect printed more than"):
        containers.project_containers(release)


@pytest.mark.parametrize("failing", ["docker ps *", "docker inspect *"])
def test_no_start_without_an_answer_of_the_engine(
    app: App, programs: Programs, failing: str
) -> None:
    programs.answer("docker ps *", "some")
    programs.answer(failing, status=1, err="Cannot connect to the Docker daemon")
    with pytest.raises(Failure):
        containers.note_existing(app.release())


@pytest.mark.parametrize("answer", ["[{", "no JSON", "Cannot connect"])
def test_a_description_that_is_no_json(app: App, programs: Programs, answer: str) -> None:
    programs.answer("docker ps *", "some")
    programs.answer("docker inspect *", answer)
    with pytest.raises(Failure, match="docker inspect printed no JSON"):
        containers.project_containers(app.release())


def test_if_the_clock_was_set_back_all_of_the_logs_is_read(app: App, programs: Programs) -> None:
    """The engine has no lines since a time in the future."""
    app.paths.shared.mkdir()
    programs.compose({"web": {}})
    programs.answer("docker compose * logs *", "web-1  | no kernel\n")
    programs.answer("docker compose * logs *--since*", "")
    release = app.release(verify=Verify(fatal=("no kernel",)))
    release.before = Before("2999-01-01T00:00:00+00:00")
    assert containers.fatal_line(release) == "web-1  | no kernel"


NOISE = "".join(f"redis-1  | {number} ping\n" for number in range(200))


def test_of_a_line_without_an_end_the_beginning_is_searched(app: App, programs: Programs) -> None:
    """With some patterns, a search in all of it would take days, and nothing could end it."""
    app.paths.shared.mkdir()
    programs.compose({"web": {}})
    endless = "yes x | head -c 6000000 | tr -d '\\n'"
    programs.answer("docker compose * logs *", "web-1  | k3y-of-app", then=endless)
    patterns = Verify(fatal=(".*never",), loading=("^web.*x",))
    release = app.release(verify=patterns, given={"KEY": "k3y-of-app"})
    assert containers.fatal_line(release) is None
    line = containers.loading_line(release) or ""
    assert line.startswith("web-1  | ***xxx")
    assert len(line) <= containers.LONGEST_LINE


def test_a_container_that_logs_a_lot_does_not_hide_lines_of_another(
    app: App, programs: Programs
) -> None:
    app.paths.shared.mkdir()
    programs.compose({"web": {}, "redis": {}})
    programs.answer("docker compose * logs *", f"web-1  | loading\nweb-1  | no kernel\n{NOISE}")
    patterns = Verify(fatal=("no kernel",), loading=("loading",))
    release = app.release(verify=patterns)
    containers.note_existing(release)
    assert containers.fatal_line(release) == "web-1  | no kernel"
    assert containers.loading_line(release) == "web-1  | loading"
    at = release.before.at
    assert programs.called("logs")[0] == (
        f"docker compose logs --no-color --tail 200 --since {at} web redis"
    )


def numbered(service: str, count: int) -> str:
    return "".join(f"{service} {number}\n" for number in range(count))


@pytest.mark.parametrize(
    ("ended", "line_counts"),
    [
        ((), {"web": 12, "db": 6, "redis": 12}),
        (("redis",), {"redis": 30, "web": 0, "db": 0}),
        (("db",), {"db": 6, "web": 12, "redis": 12}),
        (("db", "web"), {"web": 24, "db": 6, "redis": 0}),
    ],
)
def test_the_log_excerpt_is_of_broken_containers_or_a_share_of_each(
    app: App, programs: Programs, ended: tuple[str, ...], line_counts: dict[str, int]
) -> None:
    app.paths.shared.mkdir()
    wrote = {"web": 40, "db": 6, "redis": 200}
    programs.compose({name: {} for name in wrote})
    for service, count in wrote.items():
        programs.answer(f"docker compose * logs * {service}", numbered(service, count))
    programs.answer("docker ps *", "some")
    states = {service: "exited" if service in ended else "running" for service in wrote}
    described = [a_container(state, service=service) for service, state in states.items()]
    programs.answer("docker inspect *", json.dumps(described))
    last = containers.logs(app.release())
    of_each = {service: [line for line in last if line.startswith(service)] for service in wrote}
    assert {service: len(lines) for service, lines in of_each.items()} == line_counts
    assert all(lines[-1:] in ([], [f"{name} {wrote[name] - 1}"]) for name, lines in of_each.items())
    assert not ended or last[0].split()[0] in ended
