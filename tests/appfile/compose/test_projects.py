"""Projects with their own Compose files, as data: tests/appfile/compose/projects.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.app import App
from gpuhost.appfile.compose.model import ComposeBuild
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.release.compose_plan import compose_fields, refused_variables, started
from gpuhost.release.variant import ChosenVariant

CASES = yaml.safe_load(Path(__file__).with_name("projects.yaml").read_text("utf-8"))


@pytest.fixture(params=CASES, ids=lambda case: str(case["name"]))
def case(request: pytest.FixtureRequest) -> dict[str, Any]:
    of_case: dict[str, Any] = request.param
    return of_case


def written(case: dict[str, Any], directory: Path) -> Path:
    """The app file, in a directory beside the project."""
    project = directory / "project"
    for name, text in case["files"].items():
        file = project / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    block = {"source": {"directory": "project"}, **case.get("block", {})}
    path = directory / "tts.yaml"
    head = yaml.safe_dump({"x-gpuhost": block}, default_flow_style=True, width=10_000)
    path.write_text(head.strip().removeprefix("{").removesuffix("}") + "\n" + case.get("app", ""))
    return path


def test_project(case: dict[str, Any], tmp_path: Path) -> None:
    path = written(case, tmp_path)
    if "errors" in case:
        with pytest.raises(BadApp) as raised:
            load(path)
        _assert_lines(raised.value.lines, case["errors"], path)
        return
    app = load(path)
    variant = ChosenVariant(with_gpu=False, why="", profiles=app.files.profiles)
    _assert_lines(refused_variables(app, variant), case.get("refused", []), path)
    fields = compose_fields(app, variant)
    found = {
        "started": sorted(started(app, variant)),
        "directory": app.files.directory,
        "files_read": list(fields["compose"]),
        "inline": fields["inline"],
        "optional": list(fields["optional"]),
        "env_files": list(fields["env_files"]),
        "writable": list(fields["writable"]),
        "directories": list(app.block.directories),
        "project": app.project,
    }
    always = {"optional": [], "env_files": [], "writable": []}
    expected = {key: case[key] for key in found if key in case}
    assert found == {**found, **always, **expected}
    for name, attributes in case.get("services", {}).items():
        _assert_service(app, name, attributes)


def _assert_service(app: App, name: str, attributes: dict[str, Any]) -> None:
    service = app.compose.services[name]
    for key, value in attributes.items():
        actual = getattr(service, key)
        if key == "build":
            value = ComposeBuild(
                **{k: tuple(v) if isinstance(v, list) else v for k, v in value.items()}
            )
        assert actual == (tuple(value) if isinstance(value, list) else value), (name, key)


def _assert_lines(lines: Any, expected: list[str], path: Path) -> None:
    shown = [
        line.replace(str(path.parent / "project"), "DIR").replace(str(path), "APP")
        for line in lines
    ]
    assert len(shown) == len(expected), shown
    for line, beginning in zip(shown, expected, strict=True):
        assert line.startswith(beginning), shown


def test_files_that_include_each_other_again_and_again_are_refused(tmp_path: Path) -> None:
    """Each level twice: 30 levels are a thousand million files."""
    for level in range(30):
        next_one = f"level{level + 1}.yaml"
        text = f"include: [{next_one}, ./{next_one}]\nservices: {{s{level}: {{image: a}}}}\n"
        (tmp_path / f"level{level}.yaml").write_text(text)
    (tmp_path / "level30.yaml").write_text("services: {z: {image: a}}\n")
    (tmp_path / "app.yaml").write_text("x-gpuhost: {compose: level0.yaml}\n")
    with pytest.raises(BadApp, match="more than 1000 files are included"):
        load(tmp_path / "app.yaml")
