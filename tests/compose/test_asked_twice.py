"""Compose understands its own answer: the runner asks once, and runs what was answered."""

from __future__ import annotations

import json
import re
from pathlib import Path
from typing import Any

import pytest

from gpuhost.runner.resolved.read_back import with_own_keys
from tests.compose.binary import Answer, ask, ask_alone, json_of
from tests.compose.project import ALL, Project
from tests.lab.compose_binaries import RELEASES

pytestmark = pytest.mark.slow
ACCEPTED = [project for project in ALL.values() if not project.alone]
REFUSED = [project for project in ALL.values() if project.alone]


@pytest.mark.parametrize("project", ACCEPTED, ids=lambda project: project.name)
def test_the_answer_means_itself(
    project: Project, binaries: dict[str, Path], tmp_path: Path
) -> None:
    directory = tmp_path / project.name
    project.write(directory, brought=True)
    models = {}
    for release in RELEASES:
        asked = ask_alone(binaries[release], project, directory)
        refusal = project.refused_by(release)
        assert asked.ok is not bool(refusal), asked.said
        assert re.search(refusal, asked.said), asked.said
        if asked.ok:
            models[release] = without_profiles(with_own_keys(json.loads(asked.model)))
    for release, model in models.items():
        again = _again(binaries[release], model, tmp_path)
        assert again.ok is not bool(project.again), again.said
        assert re.search(project.again, again.said), again.said
        if again.ok:
            assert with_own_keys(json.loads(again.model)) == model
    if len(models) == len(RELEASES):
        first, second = map(_without_modes, models.values())
        assert first == second


def _without_modes(value: Any) -> Any:
    """Releases write the mode of a config as 288 or as "0440"; each reads its own."""
    if isinstance(value, dict):
        return {key: _without_modes(item) for key, item in value.items() if key != "mode"}
    return [_without_modes(item) for item in value] if isinstance(value, list) else value


def _again(binary: Path, model: dict[str, Any], scratch: Path) -> Answer:
    """As the runner asks: in the directory of the data, with no file but the answer."""
    elsewhere, file = scratch / "shared", scratch / "compose.json"
    elsewhere.mkdir(exist_ok=True)
    file.write_text(json_of(model))
    options = ["-p", model["name"], "--project-directory", str(elsewhere), "-f", str(file)]
    return ask(binary, elsewhere, [*options, "--env-file", "/dev/null"], {})


def without_profiles(model: dict[str, Any]) -> dict[str, Any]:
    """The answer has active services only; asked again, Compose would leave out those of profiles.

    A service that may be missing has to be removed from `depends_on` too: Compose leaves the name.
    """
    for service in model["services"].values():
        service.pop("profiles", None)
        needed = service.get("depends_on", {})
        for name in [name for name in needed if name not in model["services"]]:
            del needed[name]
    return model


@pytest.mark.parametrize("release", RELEASES)
@pytest.mark.parametrize("project", REFUSED, ids=lambda project: project.name)
def test_compose_refuses_it(
    project: Project, binaries: dict[str, Path], release: str, tmp_path: Path
) -> None:
    directory = tmp_path / project.name
    project.write(directory, brought=True)
    asked = ask_alone(binaries[release], project, directory)
    assert not asked.ok
    assert re.search(project.alone, asked.said), asked.said
