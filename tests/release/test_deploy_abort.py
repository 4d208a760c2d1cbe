"""deploys/abort.py as a user runs it, on a fake host: the script asks the runner that was sent."""

from __future__ import annotations

import json
from typing import Any

import pytest

from gpuhost.rollout.runner_file import runner_file
from tests.cli.conftest import sshd as sshd
from tests.release.workspace import RESULT, ROOT, STAGES, FakeHost, Workspace, history
from tests.release.workspace import host as host
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow

ID = "20260104-000000-4d"
ATTEMPT = {"kind": "release", "id": ID, "by": "ann@desk", "started": 1.0}
ABORTED = {
    **RESULT,
    "state": "restored",
    "stage": "up",
    "said": "aborted by bob@desk",
    "aborted_by": "bob@desk",
    "restored": "20260103-000000-3c",
}


def _abort(workspace: Workspace, *words: str) -> tuple[int, str]:
    deploy = str(ROOT / "deploys" / "abort.py")
    return workspace.run(deploy, "--data", "app=tts", *(words or ("-y",)))


def _in_progress(host: FakeHost, *, active: bool) -> None:
    """A release that runs, or one whose runner was stopped."""
    host.apps({**history("3c", "2b"), "attempt": ATTEMPT, "locked": active}, active=active)
    (host.directory / "opt/gpuhost/lib").mkdir(parents=True)
    host.home.mkdir()
    (host.home / "attempt.json").write_text(json.dumps(ATTEMPT))
    if active:
        host.write("active", "active\ninactive\n")


def _ended(**changes: Any) -> dict[str, Any]:
    return {"state": "ended", "lines": STAGES, "result": {**ABORTED, **changes}}


@pytest.mark.parametrize("app", ["never released", "idle"])
def test_nothing_in_progress(workspace: Workspace, host: FakeHost, app: str) -> None:
    if app == "idle":
        host.apps(history("3c", "2b"))
    status, out = _abort(workspace)
    assert status == 0, out
    assert "tts: nothing is in progress" in out
    assert not (host.directory / "calls").exists()


def test_a_plan_changes_nothing(workspace: Workspace, host: FakeHost) -> None:
    _in_progress(host, active=True)
    status, out = _abort(workspace, "--dry")
    assert status == 0, out
    assert f"tts: would abort release {ID} by ann@desk, since 1970-01-01 00:00:01 UTC" in out
    assert not (host.home / "abort.json").exists()


def test_the_runner_that_runs_is_asked(workspace: Workspace, host: FakeHost) -> None:
    _in_progress(host, active=True)
    host.set_follow_answers({"state": "running", "lines": STAGES[:3]}, _ended())
    status, out = _abort(workspace)
    assert status == 0, out
    assert f"tts: aborts release {ID} by ann@desk" in out
    assert "  source       2 s" in out
    assert "aborted by bob@desk in stage up" in out
    assert "rolled back to 20260103-000000-3c, verified" in out
    asked = json.loads((host.home / "abort.json").read_text())
    assert asked["of"] == ATTEMPT
    assert "@" in asked["by"]
    assert host.started == []
    assert not (host.home / "runner.pyz").exists()


def test_for_an_interrupted_release_this_runner_is_started(
    workspace: Workspace, host: FakeHost
) -> None:
    _in_progress(host, active=False)
    host.set_follow_answers(_ended())
    status, out = _abort(workspace)
    assert status == 0, out
    assert host.started[-3:] == [str(host.home / "runner.pyz"), "resume", str(host.home)]
    assert "--unit=gpuhost-release-tts.service" in host.started
    assert (host.home / "runner.pyz").read_bytes() == runner_file().data
    assert (host.home / "runner.pyz").resolve().name == runner_file().name
    assert (host.home / "abort.json").exists(), "written before the runner is started"
    left = [path.name for path in (host.directory / "opt/gpuhost/lib").iterdir()]
    assert left == [runner_file().name]


def test_a_runner_that_cannot_be_started(workspace: Workspace, host: FakeHost) -> None:
    _in_progress(host, active=False)
    host.write("refuse", "Failed to connect to bus\n")
    status, out = _abort(workspace)
    assert status == 1
    assert "tts: Failed to connect to bus" in out
    assert (host.home / "abort.json").exists(), "the next runner undoes it"


def test_a_release_that_ended_before(workspace: Workspace, host: FakeHost) -> None:
    _in_progress(host, active=True)
    (host.home / "attempt.json").unlink()
    status, out = _abort(workspace)
    assert status == 1
    assert "tts: it has just ended, or waits for a backup and has not begun yet" in out


@pytest.mark.parametrize(
    ("changes", "says"),
    [
        (
            {"state": "verified", "aborted_by": ""},
            "it was verified before it could be aborted; to go back: gpuhost rollback INVENTORY",
        ),
        ({"state": "restore-failed"}, "IS DOWN ON"),
    ],
)
def test_an_abort_that_does_not_bring_back_what_was_before_fails(
    workspace: Workspace, host: FakeHost, changes: dict[str, Any], says: str
) -> None:
    _in_progress(host, active=True)
    host.set_follow_answers(_ended(**changes))
    status, out = _abort(workspace)
    assert status == 1
    assert says in out


@pytest.mark.parametrize("deploy", ["app.py", "rollback.py"])
def test_an_interrupted_release_is_announced_before_another(
    workspace: Workspace, host: FakeHost, deploy: str
) -> None:
    _in_progress(host, active=False)
    (host.home / "releases").mkdir()
    status, out = workspace.run(str(ROOT / "deploys" / deploy), "--data", "app=tts", "--dry")
    assert status == 0, out
    assert f"tts: first finishes or undoes release {ID} by ann@desk, since 1970-01-01" in out
    assert "run gpuhost abort INVENTORY tts before" in out
