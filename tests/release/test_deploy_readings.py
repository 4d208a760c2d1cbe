"""How many times a release reads a host."""

from __future__ import annotations

import pytest

from tests.cli.conftest import sshd as sshd
from tests.release.workspace import APP, FakeHost, Workspace
from tests.release.workspace import host as host
from tests.release.workspace import workspace as workspace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("needs", ["logs: {files: [a.log]}", "nginx: {upstream: '127.0.0.1:3000'}"])
def test_another_data_root_needs_no_second_reading(
    workspace: Workspace, host: FakeHost, needs: str
) -> None:
    app = APP.replace("x-gpuhost:\n", f"x-gpuhost:\n  {needs}\n")
    (workspace.path / "apps" / "tts.yaml").write_text(app)
    commands = []
    for settings in ({}, {"docker_data_root": "/data/docker", "swap_path": "/data/swap"}):
        workspace.settings = dict(settings)
        status, out = workspace.release("--dry")
        assert status == 0, out
        commands.append(len((host.directory / "execs").read_text().splitlines()) - sum(commands))
    assert commands[0] == commands[1]
