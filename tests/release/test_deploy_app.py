"""deploys/app.py as a user runs it, on a fake host."""

from __future__ import annotations

import json
import shlex
import subprocess
import sys
import tarfile
from pathlib import Path

import pytest

from gpuhost.runner.plan import load
from tests.cli.conftest import sshd as sshd
from tests.release.workspace import (
    APP,
    FAILED,
    ROOT,
    SECRET,
    STAGES,
    FakeHost,
    Workspace,
    has_all,
    positions,
    released,
)
from tests.release.workspace import host as host
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow


def test_a_release_is_delivered_started_and_followed(workspace: Workspace, host: FakeHost) -> None:
    status, out = workspace.release()
    assert status == 0, out
    places = positions(
        out, "tts: first release, revision ", "without a card (no service needs one)",
        "services: web",
        "started; Ctrl-C detaches; the release continues on the host",
        "  source       2 s", "  build        98 s",
        "  up           5 s", "verified after 1 min 45 s", "did not answer for 3.4 s", "Success",
    )  # fmt: skip
    assert places == sorted(places)
    (release,) = host.releases
    plan = load(release / "plan.json")
    assert (plan.id, plan.app, plan.source and plan.source.kind) == (release.name, "tts", "archive")
    assert (release / "compose.yaml").read_bytes() == (
        workspace.path / "apps/tts.yaml"
    ).read_bytes()
    with tarfile.open(release / "source.tar.gz") as archive:
        assert archive.getnames() == ["Dockerfile"]
    assert json.loads((release / "given.json").read_text("utf-8")) == {"PLANTED": SECRET}
    _assert_delivered(host, release)


def _assert_delivered(host: FakeHost, release: Path) -> None:
    modes = {path.name: f"{path.stat().st_mode & 0o777:o}" for path in release.iterdir()}
    assert set(modes.values()) == {"600"}
    assert [f"{path.stat().st_mode & 0o777:o}" for path in (release, release.parent)] == ["700"] * 2
    runner = (host.home / "runner.pyz").resolve()
    assert runner.parent == host.home.parent / "lib"
    assert f"{runner.stat().st_mode & 0o777:o}" == "644"
    status = subprocess.run(
        [sys.executable, "-I", runner, "status", host.home], capture_output=True
    )
    assert json.loads(status.stdout)["app"] == "tts", status.stderr
    assert list(host.home.rglob("*.new")) == []
    unit = host.directory / "etc/systemd/system/gpuhost-resume@.service"
    assert "runner.pyz resume /opt/gpuhost/%i" in unit.read_text()
    assert host.started[-3:] == ["release", str(host.home), release.name]
    assert {"--unit=gpuhost-release-tts.service", "--collect", "Restart=on-failure"} <= {
        *host.started
    }
    assert (
        "systemctl enable --root=/ --quiet -- gpuhost-resume@tts.service"
        in (host.directory / "calls").read_text()
    )


@pytest.mark.parametrize("words", [("-y", "--json", "-vvv"), ("--dry", "-vvv")])
def test_secrets_are_sent_on_stdin_only(
    workspace: Workspace, host: FakeHost, words: tuple[str, ...]
) -> None:
    status, out = workspace.release(*words)
    assert status == 0, out
    assert "tts" in out
    seen = "".join([out, (host.directory / "execs").read_text("utf-8"), *host.started])
    for spelled in (SECRET, json.dumps(SECRET)[1:-1], shlex.quote(SECRET), "s3cret"):
        assert spelled not in seen
    if "--dry" in words:
        assert "would release tts: first release, revision " in out
        assert host.started == []
        assert not host.home.exists()
    else:
        assert host.started


def test_patches_of_the_source_are_shown_and_sent(workspace: Workspace, host: FakeHost) -> None:
    overlay = workspace.path / "apps/tts.overlay"
    (overlay / "lib").mkdir(parents=True)
    (overlay / "lib/api.ts").write_text("export {}\n")
    edits = "[{file: app.py, find: a, replace: b, reason: no health route}]"
    source = f"source: {{directory: source, overlay: tts.overlay, edits: {edits}}}"
    text = APP.replace("source: {directory: source}", source)
    (workspace.path / "apps/tts.yaml").write_text(text)
    status, out = workspace.release("--dry")
    assert status == 0, out
    line = next(line for line in out.splitlines() if "would release tts" in line)
    assert "; overlay: 1 file (lib/api.ts); edits: app.py: no health route" in line
    assert host.started == []
    status, out = workspace.release()
    assert status == 0, out
    (release,) = host.releases
    with tarfile.open(release / "overlay.tar.gz") as archive:
        assert archive.getnames() == ["lib", "lib/api.ts"]


def test_an_unchanged_app_is_not_released(workspace: Workspace, host: FakeHost) -> None:
    host.apps(released(workspace, host))
    status, out = workspace.release("--dry")
    assert (status, host.started) == (0, [])
    assert "would release" not in out
    status, out = workspace.release()
    assert (status, host.started) == (0, [])
    assert "No changes" in out


def test_a_failed_release_is_explained_and_exits_1(workspace: Workspace, host: FakeHost) -> None:
    host.set_follow_answers({"state": "running", "lines": STAGES[:2]}, FAILED)
    status, out = workspace.release()
    assert status == 1
    places = positions(
        out, "  source       0 s", "  build        failed after 41 s",
        " failed in stage build: docker compose build web failed (exit 1)",
        "  | E: Unable to locate package", "  | red", "the app's last log lines:",
        "  | listening on 3000", "rolled back to 20260101-000000-aaaaaaaa, verified",
        "did not answer for 3.4 s", "the backup made before it: /opt/gpuhost/tts/backups/1",
        "-> apt-get update first", "full log: /opt/gpuhost/tts/releases/",
    )  # fmt: skip
    assert places == sorted(places)
    assert "\x1b[31mred" not in out


def test_a_refusal_names_every_reason_before_any_change(
    workspace: Workspace, host: FakeHost
) -> None:
    (workspace.path / "apps/tts.yaml").write_text(
        APP.replace("min_length: 8}", "min_length: 8}\n    OTHER: {env: GONE}")
        + '    ports: ["22:22"]\n'
    )
    workspace.environment.clear()
    status, out = workspace.release()
    assert status == 1
    assert has_all(out, "PLANTED", "GONE", "app.ports: ", "refused, nothing was changed"), out
    assert host.started == []
    assert not host.home.exists()


@pytest.mark.parametrize(
    ("app", "says"),
    [
        ("", "no app is named: give --data app=NAME; known here: "),
        ("app=ttz", "apps/ttz.yaml: no such file"),
        ("app=bad", "apps/bad.yaml:2: "),
    ],
)
def test_an_unknown_or_invalid_app(
    workspace: Workspace, host: FakeHost, app: str, says: str
) -> None:
    (workspace.path / "apps/bad.yaml").write_text("x-gpuhost:\n  sources: 1\nservices: {a: {}}\n")
    data = ("--data", app) if app else ()
    status, out = workspace.run(str(ROOT / "deploys/app.py"), "-y", *data)
    assert status == 1
    assert says in out
    assert "bad" in app or "tts" in out.split("known here: ")[1].splitlines()[0]
    assert host.started == []
