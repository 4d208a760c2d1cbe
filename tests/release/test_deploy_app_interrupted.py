"""deploys/app.py if a release cannot be started, or the connection breaks."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.conftest import sshd as sshd
from tests.release.workspace import ENDED, ROOT, STAGES, FakeHost, Workspace, has_all, positions
from tests.release.workspace import host as host
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow


def test_another_release_started_after_the_reading(workspace: Workspace, host: FakeHost) -> None:
    """The reading showed no operation; the name of the unit prevents a second release."""
    host.home.mkdir(parents=True)
    attempt = {"kind": "release", "id": "20260101-000000-ab", "by": "ann@desk", "started": 1.0}
    (host.home / "attempt.json").write_text(json.dumps(attempt))
    host.write("active", "active\n")
    status, out = workspace.release()
    assert status == 1
    assert has_all(
        out, "refused, nothing was changed: release 20260101-000000-ab by ann@desk, since 1970-",
        "follow it: gpuhost logs inventory.py --limit 127.0.0.2 --app tts --follow",
    )  # fmt: skip
    assert (host.started, host.releases) == ([], [])


def test_systemd_does_not_start_the_runner(workspace: Workspace, host: FakeHost) -> None:
    host.write("refuse", "Failed to connect to bus: No such file or directory\n")
    status, out = workspace.release()
    assert status == 1
    assert "it could not be started: Failed to connect to bus: No such file" in out
    assert host.releases == []


def test_a_broken_connection_is_restored(workspace: Workspace, host: FakeHost) -> None:
    host.set_follow_answers({"state": "running", "lines": STAGES[:3]}, {"hang up": True}, ENDED)
    status, out = workspace.release()
    assert status == 0, out
    places = positions(
        out, "  source       2 s", "no answer; the release continues on 127.0.0.2",
        "reconnected", "verified after",
    )  # fmt: skip
    assert places == sorted(places)


def test_ctrl_c_only_detaches(workspace: Workspace, host: FakeHost) -> None:
    host.set_follow_answers({"state": "running", "lines": STAGES[:3], "wait": True})
    process = workspace.popen(
        str(ROOT / "deploys/app.py"), "--data", "app=tts", "-y",
    )  # fmt: skip
    assert process.stdout
    out = ""
    try:
        for line in process.stdout:
            out += line
            if "  source " in line:
                process.send_signal(signal.SIGINT)
                break
        out += process.communicate(timeout=30)[0]
    finally:
        process.kill()
    assert process.returncode == 130, out
    assert (
        "[127.0.0.2] detached: the release continues on 127.0.0.2; follow it: "
        "gpuhost logs inventory.py --limit 127.0.0.2 --app tts --follow"
    ) in out
    assert "Traceback" not in out
    assert len(host.releases) == 1


def test_the_connection_breaks_just_after_the_start(workspace: Workspace, host: FakeHost) -> None:
    host.write("cut", "")
    status, out = workspace.release()
    assert status == 0, out
    assert "the connection was lost while it began; looking whether the host is at it" in out
    assert "verified after" in out
    assert host.started


def test_the_connection_breaks_just_before_the_start(workspace: Workspace, host: FakeHost) -> None:
    """No release exists, and no operation runs: the run fails without waiting."""
    host.write("lost", "")
    host.set_follow_answers({"state": "lost", "offset": 0})
    host.write("systemctl", "inactive\n")
    host.write("journalctl", "")
    status, out = workspace.release()
    assert status == 1
    assert host.started == []
    assert "the release ended without a result" in out
