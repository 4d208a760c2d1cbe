"""What is wrong with an app, from what its engine says."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner import containers
from gpuhost.runner.log import Log
from gpuhost.runner.paths import AppPaths, ReleasePaths
from gpuhost.runner.plan import Plan, Verify
from gpuhost.runner.release import Release


def a_container(
    status: str = "running",
    *,
    code: int = 0,
    restarts: int = 0,
    oom: bool = False,
    policy: str = "unless-stopped",
    health: str | None = None,
    run: bool = False,
) -> dict[str, Any]:
    """As `docker inspect` describes it."""
    labels = {"com.docker.compose.service": "web", "com.docker.compose.oneoff": str(run)}
    state: dict[str, Any] = {"Status": status, "ExitCode": code, "OOMKilled": oom}
    if health:
        state["Health"] = {"Status": health}
    return {
        "Name": "/app-web-1",
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
    def docker(release: Release, *words: str) -> str:
        answers = {"ps": "id\n", "inspect": json.dumps(described), "events": events}
        return answers[words[0]]

    monkeypatch.setattr(containers, "_docker", docker)
    monkeypatch.setattr(containers, "logs", lambda release, lines=30: tuple(log.splitlines()))


@pytest.mark.parametrize(
    ("described", "events", "says"),
    [
        (a_container(), "", None),
        (a_container(health="starting"), "", None),
        (a_container(health="unhealthy"), "", None),
        (a_container("restarting", restarts=1, code=1), "die 1\n", None),
        (a_container("exited", policy="no"), "", None),
        (a_container("exited", code=1, run=True), "", None),
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
        # It runs again, and its own state knows nothing of how it ended.
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
def test_what_is_wrong(
    release: Release,
    monkeypatch: pytest.MonkeyPatch,
    described: dict[str, Any],
    events: str,
    says: str | None,
) -> None:
    engine(monkeypatch, described, events=events)
    assert containers.broken(release) == says


def test_a_line_that_is_called_fatal(release: Release, monkeypatch: pytest.MonkeyPatch) -> None:
    engine(monkeypatch, a_container(), log="web-1 | fine\nweb-1 | CUDA out of memory\n")
    assert containers.broken(release) is None
    release.plan = Plan(
        app="app",
        id="1",
        inputs="",
        by="",
        project="app",
        revision="",
        verify=Verify(fatal=("CUDA out of memory",)),
    )
    assert containers.broken(release) == "its log says: web-1 | CUDA out of memory"


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
def test_what_is_up(
    release: Release, monkeypatch: pytest.MonkeyPatch, described: dict[str, Any], is_up: bool
) -> None:
    engine(monkeypatch, described)
    (found,) = containers.states(release)
    assert found.is_up is is_up
