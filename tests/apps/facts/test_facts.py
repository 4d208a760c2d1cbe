"""The packaged apps agree with what upstream's code reads, writes and answers; mistakes do not."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from gpuhost.runner.resolved.health import LEAST_ENGINE
from tests import app_yaml
from tests.apps.facts import table
from tests.apps.facts.against import contradictions
from tests.apps.facts.probes import probes
from tests.apps.facts.released import HOSTS, Mistake, release
from tests.apps.stand_ins import write_source
from tests.compose.on_host import put_docker

pytestmark = pytest.mark.slow
MISTAKES = {
    name: Mistake(**one)
    for name, one in app_yaml.read((table.HERE / "mistakes.yaml").read_text("utf-8")).items()
}


@pytest.fixture
def docker(binaries: dict[str, Path], tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    put_docker(monkeypatch, tmp_path / "bin", binaries["trixie"])


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("variant", HOSTS)
@pytest.mark.parametrize("name", table.NAMES)
def test_an_app_agrees_with_the_facts(
    name: str, variant: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    released = release(name, variant, tmp_path, monkeypatch)
    assert contradictions(released, table.load(name)) == []


@pytest.mark.usefixtures("docker")
@pytest.mark.parametrize("name", MISTAKES)
def test_a_mistake_of_the_field_contradicts_them(
    name: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    mistake = MISTAKES[name]
    released = release(mistake.app, mistake.variant, tmp_path, monkeypatch, mistake)
    found = contradictions(released, table.load(mistake.app))
    assert [one for one in found if not any(re.search(p, one) for p in mistake.found)] == []
    assert [p for p in mistake.found if not any(re.search(p, one) for one in found)] == []


@pytest.mark.usefixtures("docker")
def test_the_runner_asks_an_image_often_while_it_starts(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What an engine since Docker 25 makes of a HEALTHCHECK that runs once an hour."""
    hourly = MISTAKES["M1 a health check of an image that runs once an hour"]
    released = release(hourly.app, hourly.variant, tmp_path, monkeypatch, hourly)
    assert list(probes(released, table.load(hourly.app), engine=LEAST_ENGINE)) == []


@pytest.mark.parametrize("name", table.NAMES)
def test_a_stand_in_has_the_faults_of_upstream(name: str, tmp_path: Path) -> None:
    facts = table.load(name)
    write_source(name, tmp_path)
    assert [path for path in facts.lacks if (tmp_path / path).exists()] == []
    cured = [f.at for f in facts.faults if not f.is_in((tmp_path / f.file).read_text("utf-8"))]
    assert cured == []
