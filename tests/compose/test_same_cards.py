"""Which services reserve NVIDIA cards: the same where pyinfra runs and on the host."""

from __future__ import annotations

import json
from pathlib import Path

import pytest

from gpuhost.appfile.loading import load
from gpuhost.runner.resolved.cards import reserves_card
from gpuhost.runner.resolved.read_back import with_own_keys
from tests.compose.binary import ask_alone
from tests.compose.planned import APART, write_app
from tests.compose.project import ALL, Project

pytestmark = pytest.mark.slow
NEWEST = "sid"
# Accepted by Compose and by gpuhost.
READ = [p for p in ALL.values() if not (p.refused or p.refused_by(NEWEST))]


@pytest.mark.parametrize("project", READ, ids=lambda project: project.name)
def test_both_find_the_same_cards(
    project: Project, binaries: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    for name, value in project.secrets.items():
        monkeypatch.setenv(name, value)
    project.write(tmp_path / "project", brought=False)
    services = load(write_app(project, APART, tmp_path / "project")).compose.services
    alone = tmp_path / "alone"
    project.write(alone, brought=True)
    model = with_own_keys(json.loads(ask_alone(binaries[NEWEST], project, alone).model))
    of_host = {name: reserves_card(section) for name, section in model["services"].items()}
    assert {name: services[name].cards is not None for name in of_host} == of_host
