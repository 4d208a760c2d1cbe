"""A project that gpuhost releases is what Compose alone makes of it, but for named differences."""

from __future__ import annotations

import json
import os
import re
from pathlib import Path

import pytest
import yaml

from tests.compose.binary import ask_alone
from tests.compose.compared import differences
from tests.compose.on_host import put_docker, render_on_host
from tests.compose.planned import APART, BESIDE, CARD, INLINE, NO_CARD, plan_project
from tests.compose.project import ALL, PROJECTS, Project

pytestmark = pytest.mark.slow
OF_CARDS = frozenset(yaml.safe_load((PROJECTS / "cards.yaml").read_text(encoding="utf-8")))
# Where the app file is, the host, and whose Compose the host has.
WAYS = ((APART, CARD, "sid"), (BESIDE, NO_CARD, "trixie"), (INLINE, CARD, "trixie"))
EXTERNAL = {"volumes": ("models",), "networks": ("proxy",)}
CORES = len(os.sched_getaffinity(0))
VALUES = {"CORES": CORES, "CORES, as text": str(CORES)}


def _cases() -> list[tuple[Project, str, str, str]]:
    cases = [(one, *way) for one in ALL.values() for way in WAYS if _can_be(one, way[0])]
    others = [(ALL[name], APART, NO_CARD, "sid") for name in [*sorted(OF_CARDS), "left-out"]]
    return [*cases, *others]


def _can_be(project: Project, place: str) -> bool:
    """Inline: the app's name is the project's."""
    is_one_file = "compose.yaml" in project.files and "compose" not in project.block
    return place != INLINE or (is_one_file and not project.has_own_name)


@pytest.mark.parametrize(
    ("project", "place", "host", "release"),
    _cases(),
    ids=lambda value: value.name if isinstance(value, Project) else value,
)
def test_it_is_as_compose_alone_makes_it(
    project: Project,
    place: str,
    host: str,
    release: str,
    binaries: dict[str, Path],
    tmp_path: Path,
    monkeypatch: pytest.MonkeyPatch,
) -> None:
    expected = _refusal(project, host, release)
    alone = tmp_path / "alone" / project.name
    project.write(alone, brought=True)
    profiles = project.profiles.get("card" if host == CARD else "none", [])
    asked = ask_alone(binaries[release], project, alone, profiles)
    put_docker(monkeypatch, tmp_path / "bin", binaries[release], **EXTERNAL)

    planned = plan_project(project, place, host, tmp_path, monkeypatch)
    said = planned.refused
    if planned.plan:
        home = tmp_path / "opt" / project.name
        values = {secret.name: project.secrets[secret.name] for secret in planned.plan.secrets}
        rendered = render_on_host(home, planned.plan, planned.app_file, planned.source, values)
        said = rendered.refused
    assert bool(said) is bool(expected), said
    assert re.search(expected, said), said
    if expected:
        return
    assert asked.ok, asked.said
    of_host = project.card_becomes if host == CARD else project.without_card_becomes
    becomes = _with_cores({**project.becomes, **of_host})
    found = differences(
        rendered, json.loads(asked.model), alone, becomes, tuple(project.block.get("public", ()))
    )
    assert not found, "\n".join(found)


def _refusal(project: Project, host: str, release: str) -> str:
    without_card = project.refused_without_card if host == NO_CARD else ""
    return without_card or project.refused or project.refused_by(release)


def _with_cores(value: object) -> object:
    if isinstance(value, dict):
        return {key: _with_cores(item) for key, item in value.items()}
    return VALUES.get(value, value) if isinstance(value, str) else value
