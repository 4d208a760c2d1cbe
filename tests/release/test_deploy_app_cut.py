"""deploys/app.py where a release cannot be begun, or can no longer be watched."""

from __future__ import annotations

import json
import signal

import pytest

from tests.cli.conftest import sshd as sshd
from tests.release.workplace import ENDED, ROOT, STAGES, Played, Workplace, has_all, positions
from tests.release.workplace import host as host
from tests.release.workplace import workplace as workplace

pytestmark = pytest.mark.slow


def test_somebody_else_was_quicker(workplace: Workplace, host: Played) -> None:
    """Nothing was under way when the host was read; the unit's name decides."""
    host.home.mkdir(parents=True)
    attempt = {"kind": "release", "id": "20260101-000000-ab", "by": "ann@desk", "started": 1.0}
    (host.home / "attempt.json").write_text(json.dumps(attempt))
    host.write("active", "active\n")
    status, out = workplace.release()
    assert status == 1
    assert has_all(
        out, "refused, nothing was changed: release 20260101-000000-ab by ann@desk, since 1970-",
        "follow it: gpuhost logs inventory.py --limit 127.0.0.2 --app tts --follow",
    )  # fmt: skip
    assert (host.started, host.releases) == ([], [])


def test_it_cannot_be_started(workplace: Workplace, host: Played) -> None:
    host.write("refuse", "Failed to connect to bus: No such file or directory\n")
    status, out = workplace.release()
    assert status == 1
    assert "it could not be started: Failed to connect to bus: No such file" in out
    assert host.releases == []


def test_a_connection_that_breaks(workplace: Workplace, host: Played) -> None:
    host.looks({"state": "running", "lines": STAGES[:3]}, {"hang up": True}, ENDED)
    status, out = workplace.release()
    assert status == 0, out
    places = positions(
        out, "  source       2 s", "no answer; the release continues on 127.0.0.2",
        "reconnected", "verified after",
    )  # fmt: skip
    assert places == sorted(places)


def test_ctrl_c_ends_the_watching_only(workplace: Workplace, host: Played) -> None:
    host.looks({"state": "running", "lines": STAGES[:3], "wait": True})
    process = workplace.popen(
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


def test_a_connection_that_breaks_just_after_it_began(workplace: Workplace, host: Played) -> None:
    host.write("cut", "")
    status, out = workplace.release()
    assert status == 0, out
    assert "the connection was lost during the start; checking whether the host runs it" in out
    assert "verified after" in out
    assert host.started


def test_a_connection_that_breaks_before_anything_began(workplace: Workplace, host: Played) -> None:
    """Nothing is there, and nobody is at it: it is said, and nothing waits."""
    host.write("lost", "")
    host.looks({"state": "lost", "offset": 0})
    host.write("systemctl", "inactive\n")
    host.write("journalctl", "")
    status, out = workplace.release()
    assert status == 1
    assert host.started == []
    assert "the release ended without a result" in out
