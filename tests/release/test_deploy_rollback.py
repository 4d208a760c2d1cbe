"""deploys/rollback.py as a user runs it, on a fake host."""

from __future__ import annotations

import pytest

from tests.cli.conftest import sshd as sshd
from tests.release.workspace import ROOT, FakeHost, Workspace, history
from tests.release.workspace import host as host
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow


def _roll_back(workspace: Workspace, *words: str) -> tuple[int, str]:
    deploy = str(ROOT / "deploys" / "rollback.py")
    return workspace.run(deploy, "--data", "app=tts", *(words or ("-y",)))


def test_roll_back_to_the_previous_release(workspace: Workspace, host: FakeHost) -> None:
    host.apps(history("3c", "2b", "1a"))
    (host.home / "releases").mkdir(parents=True)
    status, out = _roll_back(workspace, "--dry")
    assert (status, host.started) == (0, [])
    assert "tts: would roll back from 20260103-000000-3c (revision 3c3c3c3c3c)" in out
    status, out = _roll_back(workspace)
    assert status == 0, out
    verb, home, release, *rest = host.started[host.started.index("rollback") :]
    assert (verb, home, rest[:2]) == ("rollback", str(host.home), ["--to", "20260102-000000-2b"])
    assert release.endswith("-2b2b2b2b")
    assert "verified after" in out


def test_roll_back_to_a_release_by_its_id(workspace: Workspace, host: FakeHost) -> None:
    host.apps(history("3c", "2b", "1a"))
    (host.home / "releases").mkdir(parents=True)
    status, out = _roll_back(workspace, "-y", "--data", "release=20260101-000000-1a")
    assert status == 0, out
    assert "20260101-000000-1a" in host.started


def test_a_failed_release_cannot_be_rolled_back_to(workspace: Workspace, host: FakeHost) -> None:
    host.apps(history("2b", "1a", **{"1a": {"state": "failed"}}))
    status, out = _roll_back(workspace, "-y", "--data", "release=20260101-000000-1a")
    assert status == 1
    assert "20260101-000000-1a is not a verified release of this app" in out
    assert "verified are: 20260102-000000-2b" in out
    assert host.started == []
