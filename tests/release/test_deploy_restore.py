"""deploys/restore.py as a user runs it, on a fake host."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from gpuhost.operations.app_operation import known_app
from gpuhost.operations.app_restore import require_restorable
from gpuhost.rollout.draft import StartRefused
from gpuhost.snapshot import Probe, Probes
from gpuhost.snapshot.apps import Apps
from tests.cli.conftest import sshd as sshd
from tests.release.workspace import ENDED, RESULT, ROOT, FakeHost, Workspace
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow

OLD, NEW, HALF = "20260101-033000-schedule", "20260102-101500-release", "20260103-033000-schedule"
RELEASE = {
    "id": "20260101-000000-aaaaaaaa",
    "inputs": "b" * 64,
    "revision": "a" * 40,
    "by": "me@here",
    "project": "tts",
    "rollback_of": "",
    "result": {"state": "verified"},
}
TTS: dict[str, Any] = {
    "name": "tts",
    "current": RELEASE["id"],
    "releases": [RELEASE],
    "attempt": None,
    "given": None,
    "backups": [
        {"name": HALF, "manifest": False},
        {"name": NEW, "manifest": True},
        {"name": OLD, "manifest": True},
    ],
}


@pytest.fixture(autouse=True)
def accept_removals(monkeypatch: pytest.MonkeyPatch) -> None:
    play = Path(__file__).with_name("fake_host_restore.py")
    monkeypatch.setattr("tests.release.workspace.PLAY", play)


@pytest.fixture
def host(workspace: Workspace) -> FakeHost:
    host = workspace.hosts[0]
    host.apps(TTS)
    # The start of an operation looks for a running one in this directory.
    host.home.mkdir(parents=True)
    return host


def restore(workspace: Workspace, *words: str) -> tuple[int, str]:
    deploy = str(ROOT / "deploys" / "restore.py")
    return workspace.run(deploy, "--data", "app=tts", *words)


def test_without_a_backup_the_backups_are_listed(workspace: Workspace, host: FakeHost) -> None:
    status, out = restore(workspace, "-y")
    assert status == 0, out
    assert "tts has 2 backups on this host, newest first:" in out
    assert out.index(NEW) < out.index(OLD)
    assert HALF not in out
    assert (host.started, (host.directory / "removed").exists()) == ([], False)


def test_a_restore_is_started_and_followed(workspace: Workspace, host: FakeHost) -> None:
    result = {**RESULT, "id": OLD, "kind": "restore", "revision": "", "backup": OLD}
    host.set_follow_answers({**ENDED, "result": result})
    status, out = restore(workspace, "--data", f"backup={OLD}", "-y")
    assert status == 0, out
    assert f"restore {OLD} verified" in out
    verb = host.started.index("restore")
    assert host.started[verb + 1 : verb + 4] == [str(host.home), OLD, "--by"]
    home = f"/opt/gpuhost/tts/backups/{OLD}"
    removed = json.loads((host.directory / "removed").read_text())
    assert removed == [f"{home}/result.json", f"{home}/log"]


def test_a_failed_restore_fails_the_run(workspace: Workspace, host: FakeHost) -> None:
    result = {
        **RESULT,
        "kind": "restore",
        "state": "restored",
        "said": "web: exited with 1",
        "restored": RELEASE["id"],
    }
    host.set_follow_answers({"state": "ended", "result": result})
    status, out = restore(workspace, "--data", f"backup={OLD}", "-y")
    assert status == 1, out
    assert "web: exited with 1" in out


def test_a_dry_run_restores_nothing(workspace: Workspace, host: FakeHost) -> None:
    status, out = restore(workspace, "--data", f"backup={OLD}", "--dry")
    assert (status, f"would restore {OLD}" in out) == (0, True), out
    assert (host.started, (host.directory / "removed").exists()) == ([], False)


def test_an_incomplete_backup_is_refused(workspace: Workspace, host: FakeHost) -> None:
    status, out = restore(workspace, "--data", f"backup={HALF}", "-y")
    assert (status, f"{HALF} is not a backup of this app" in out) == (1, True), out
    assert (host.started, (host.directory / "removed").exists()) == ([], False)


def apps(*states: dict[str, Any]) -> Apps:
    probes = {
        "apps": Probe(0, json.dumps({"apps": states, "runners": []}), ""),
        "app_units": Probe(0, "", ""),
    }
    return Apps.read(Probes(probes))


ATTEMPT = {"kind": "release", "id": "20260104-000000-cccccccc", "by": "ada@desk", "started": 1}


@pytest.mark.parametrize(
    ("app", "backup", "says"),
    [
        (TTS, HALF, f"{HALF} is not a backup of this app"),
        (TTS, "../../../etc", "../../../etc is not a backup of this app"),
        ({**TTS, "backups": []}, OLD, "tts has no backup on this host"),
        ({**TTS, "current": None}, OLD, "no release of it was ever verified on this host"),
        ({**TTS, "attempt": ATTEMPT, "locked": True}, OLD, "release 20260104-000000-cccccccc is"),
        ({**TTS, "name": "other"}, OLD, "never released on this host; released apps: other"),
    ],
)
def test_reasons_to_refuse(app: dict[str, Any], backup: str, says: str) -> None:
    with pytest.raises(StartRefused) as raised:
        require_restorable(known_app(apps(app), "tts"), backup)
    assert says in "\n".join(raised.value.lines)


def refusal(app: dict[str, Any], backup: str) -> tuple[str, ...]:
    """The reasons why the backup cannot be restored; (): none."""
    try:
        require_restorable(known_app(apps(app), "tts"), backup)
    except StartRefused as refused:
        return refused.lines
    return ()


def test_an_interrupted_operation_does_not_refuse_a_restore() -> None:
    """A running operation does: only the lock shows the difference."""
    app_with_attempt = {**TTS, "attempt": {**ATTEMPT, "kind": "restore"}}
    assert refusal({**app_with_attempt, "locked": True}, OLD) == (
        "restore 20260104-000000-cccccccc is under way; wait for it, or end it: "
        "gpuhost abort INVENTORY tts",
    )
    assert refusal({**app_with_attempt, "locked": False}, OLD) == ()
    assert refusal(app_with_attempt, OLD) == ()
