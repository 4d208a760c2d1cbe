"""Health checks: what a recorded `docker inspect` says of them, and tests that run by hand."""

from __future__ import annotations

import json
import time
from dataclasses import replace
from datetime import datetime, timezone
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.docker import health_tests, waiting
from gpuhost.runner.docker.waiting import in_words, wait_until_up
from gpuhost.runner.lib.commands import try_run
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Verify
from gpuhost.runner.state.container import from_inspect
from gpuhost.runner.state.health import epoch, read_health_check
from gpuhost.runner.state.release import Release
from tests.runner.host_fixtures import OLD, App, Programs, app, programs

__all__ = ["app", "programs"]

# Recorded with Docker 20.10; "newer-timeout" has the format of Docker 23 and an engine in China.
RECORDED: dict[str, dict[str, Any]] = {
    case["name"]: case
    for case in json.loads(Path(__file__).with_name("health_checks.json").read_text())
}
ANSWERING = [name for name, case in RECORDED.items() if case["says"]]


def inspected(name: str, *, started: float | None = None, **state: Any) -> dict[str, Any]:
    """A recorded container, as service web; `started` moves its start, and takes its answers."""
    case = RECORDED[name]
    whole = {**case["State"], **state}
    if started is not None:
        moment = datetime.fromtimestamp(started, timezone.utc).isoformat()
        whole |= {"StartedAt": moment, "Health": {"Status": "starting", "Log": []}}
    return {
        "Id": "1",
        "Name": "/app-web-1",
        "State": whole,
        "HostConfig": {"RestartPolicy": {"Name": "always"}},
        "Config": {**case["Config"], "Labels": {"com.docker.compose.service": "web"}},
    }


@pytest.fixture
def release(app: App, programs: Programs, monkeypatch: pytest.MonkeyPatch) -> Release:
    monkeypatch.setattr(waiting, "PAUSE", 0.01)
    monkeypatch.setattr(waiting, "LOG_EVERY_S", 0.0)
    monkeypatch.setattr(health_tests, "PAUSE_S", 0.02)
    app.paths.shared.mkdir()
    programs.compose({"web": {}})
    programs.answer("docker ps *", "some")
    return app.release(verify=Verify(start_s=0, loading=("Loading model",)))


@pytest.mark.parametrize("name", ANSWERING)
def test_the_last_answer_and_how_often_it_was_the_same(release: Release, name: str) -> None:
    said = in_words(release, [from_inspect(inspected(name))])
    assert said == f"health check of web: last answer {RECORDED[name]['says']}"


@pytest.mark.parametrize("name", [name for name, case in RECORDED.items() if case["fix"]])
def test_the_advice_fits_the_answers(release: Release, programs: Programs, name: str) -> None:
    programs.answer("docker inspect *", json.dumps([inspected(name)]))
    programs.answer("docker exec *", status=1)
    with pytest.raises(Failure) as raised:
        wait_until_up(release)
    assert RECORDED[name]["fix"] in raised.value.fix
    assert ("raise verify.start_s in the app file" in raised.value.fix) == (
        "healthcheck" not in raised.value.fix
    )


def test_an_app_that_says_that_it_loads_needs_more_time(
    release: Release, programs: Programs
) -> None:
    programs.answer("docker inspect *", json.dumps([inspected("curlf")]))
    programs.answer("docker compose * logs *", "web | Loading model...\n")
    with pytest.raises(Failure) as raised:
        wait_until_up(release)
    assert raised.value.fix == waiting.MORE_TIME


def test_without_an_answer_the_state_is_said(release: Release) -> None:
    assert in_words(release, [from_inspect(inspected("hour"))]) == "web is starting"
    restarting = from_inspect(inspected("curlf", Status="restarting"))
    assert in_words(release, [restarting]) == "web is unhealthy"


@pytest.mark.parametrize(
    ("config", "test"),
    [
        ({"Test": ["CMD", "a", "b c"]}, ("a", "b c")),
        ({"Test": ["CMD-SHELL", "a || b"]}, ("/bin/sh", "-c", "a || b")),
        ({"Test": ["NONE"], "Interval": 1}, None),
        ({"Test": ["CMD-SHELL"]}, None),
        ({"Test": ["CMD"]}, None),
        ({"Test": []}, None),
        (None, None),
    ],
)
def test_the_command_of_a_health_check(config: Any, test: tuple[str, ...] | None) -> None:
    check = read_health_check({"Healthcheck": config}, {"Health": {"Log": None}})
    assert (check.test if check else None) == test


def test_a_health_check_in_the_shell_of_its_image() -> None:
    check = read_health_check(
        {"Healthcheck": {"Test": ["CMD-SHELL", "a"]}, "Shell": ["/bin/bash", "-ec"]}, {}
    )
    assert check and check.test == ("/bin/bash", "-ec", "a")


@pytest.mark.parametrize(
    ("config", "seconds_ago", "answered_ago", "due_in"),
    [
        ({}, 4, None, 26),
        ({"Interval": 3600e9}, 10, None, 3590),
        ({"Interval": 3600e9}, 5000, 100, 3500),
        ({"Interval": 30e9, "StartPeriod": 60e9}, 10, None, 20),
        ({"Interval": 30e9, "StartPeriod": 60e9, "StartInterval": 2e9}, 10, 1, 1),
        ({"Interval": 30e9, "StartPeriod": 60e9, "StartInterval": 2e9}, 70, 1, 29),
    ],
)
def test_when_the_engine_runs_the_test_again(
    config: dict[str, Any], seconds_ago: int, answered_ago: int | None, due_in: int
) -> None:
    def ago(seconds: int) -> str:
        return datetime.fromtimestamp(1e9 - seconds, timezone.utc).isoformat()

    log = [] if answered_ago is None else [{"Start": ago(answered_ago), "End": ago(answered_ago)}]
    check = read_health_check(
        {"Healthcheck": {"Test": ["CMD", "a"], **config}}, {"Health": {"Log": log}}
    )
    assert check and check.next_in_s(ago(seconds_ago), 1e9) == pytest.approx(due_in)


@pytest.mark.parametrize(
    ("text", "seconds"),
    [
        ("2026-11-29T23:47:53.158374648Z", 1795996073.158),
        ("2026-11-30T07:47:53.158374648+08:00", 1795996073.158),
        ("2026-11-29T23:47:53Z", 1795996073.0),
        ("0001-01-01T00:00:00Z", 0.0),
        ("", 0.0),
    ],
)
def test_a_time_of_the_engine(text: str, seconds: float) -> None:
    assert epoch(text) == pytest.approx(seconds, abs=0.001)


def test_a_test_that_is_far_away_is_run_by_hand(release: Release, programs: Programs) -> None:
    release = _with_time(release)
    programs.answer("docker inspect *", json.dumps([inspected("hour", started=time.time())]))
    wait_until_up(release)
    (called,) = programs.called("docker exec")
    assert called == "docker exec app-web-1 /bin/sh -c curl -fsS http://127.0.0.1:8000/"
    log = release.paths.log.read_text()
    assert "health check of web: passed, run by gpuhost: the engine's next run is in 3" in log


def test_a_test_by_hand_is_repeated_until_it_passes(release: Release, programs: Programs) -> None:
    release = _with_time(release)
    programs.answer("docker inspect *", json.dumps([inspected("hour", started=time.time())]))
    shown = "last answer curl: (22) 503 (exit 22), 2 times the same"
    # The third run passes once the log has the two before it.
    programs.answer(
        "docker exec *",
        then=f'[ "$(grep -c "docker exec" "{programs.directory}/calls")" -ge 3 ] || '
        "{ echo 'curl: (22) 503' >&2; exit 22; }; "
        f"until grep -qF '{shown}' {release.paths.log}; do sleep 0.01; done",
    )
    wait_until_up(release)
    assert len(programs.called("docker exec")) == 3
    assert shown in release.paths.log.read_text()


@pytest.mark.slow
def test_a_test_by_hand_is_stopped_after_its_timeout(release: Release, programs: Programs) -> None:
    release = _with_time(release, 2)
    container = inspected("hour", started=time.time())
    container["Config"]["Healthcheck"]["Timeout"] = 500_000_000
    programs.answer("docker inspect *", json.dumps([container]))
    programs.answer("docker exec *", then="exec sleep 60")
    with pytest.raises(Failure, match=r"exceeded timeout \(0.5 s\), \d times") as raised:
        wait_until_up(release)
    assert "raise healthcheck.timeout of web" in raised.value.fix


def _with_time(release: Release, start_s: int = 60) -> Release:
    release.plan = replace(release.plan, verify=replace(release.plan.verify, start_s=start_s))
    return release


@pytest.mark.parametrize("container", ["near", "stopped", "none"])
def test_never_by_hand(release: Release, programs: Programs, container: str) -> None:
    """The engine's next run is near; the container does not run; it has no health check."""
    made = {
        "near": inspected("refused", started=time.time()),
        "stopped": inspected("hour", Status="created"),
        "none": inspected("none", Status="restarting"),
    }[container]
    programs.answer("docker inspect *", json.dumps([made]))
    with pytest.raises(Failure):
        wait_until_up(_with_time(release, 1))
    assert programs.called("docker exec") == []


def test_words_with_nul_are_an_answer_not_an_error(app: App, programs: Programs) -> None:
    """An image names the words of its test."""
    ended = try_run(app.release().log, "true", "a\0b", seconds=5)
    assert (ended.status, ended.tail) == (127, ("true: embedded null byte",))
    assert try_run(app.release(OLD).log, "true", seconds=5, env={"A": "\0"}).status == 127


@pytest.mark.parametrize("text", ["9999-99-99T99:99:99Z", "2026-01-01T00:00:00+99:99"])
def test_a_time_that_does_not_exist(text: str) -> None:
    assert epoch(text) == 0.0
