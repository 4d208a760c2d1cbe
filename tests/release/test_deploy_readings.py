"""How often a host is asked, of its own settings."""

from __future__ import annotations

import pytest

from tests.cli.conftest import sshd as sshd
from tests.release.workplace import APP, Played, Workplace
from tests.release.workplace import host as host
from tests.release.workplace import workplace as workplace

pytestmark = pytest.mark.slow


@pytest.mark.parametrize("needs", ["logs: {files: [a.log]}", "nginx: {upstream: '127.0.0.1:3000'}"])
def test_another_data_root_costs_no_second_reading(
    workplace: Workplace, host: Played, needs: str
) -> None:
    app = APP.replace("x-gpuhost:\n", f"x-gpuhost:\n  {needs}\n")
    (workplace.path / "apps" / "tts.yaml").write_text(app)
    asked = []
    for settings in ({}, {"docker_data_root": "/data/docker", "swap_path": "/data/swap"}):
        workplace.settings = dict(settings)
        status, out = workplace.release("--dry")
        assert status == 0, out
        asked.append(len((host.directory / "execs").read_text().splitlines()) - sum(asked))
    assert asked[0] == asked[1]
