"""From a project to its app file, as data: tests/appfile/proposing/projects.yaml."""

from __future__ import annotations

import re
from collections.abc import Iterator
from pathlib import Path
from random import Random
from typing import Any

import pytest
import yaml

from gpuhost.appfile.compose.project_files import LocalFiles
from gpuhost.appfile.errors import BadApp
from gpuhost.appfile.loading import load
from gpuhost.appfile.proposing.proposal import Proposal
from gpuhost.appfile.proposing.propose import ProposedApp, propose
from gpuhost.appfile.proposing.tree import Tree

CASES = yaml.safe_load(Path(__file__).with_name("projects.yaml").read_text("utf-8"))
# The files of other tests are projects too.
OTHERS = yaml.safe_load(
    (Path(__file__).parents[1] / "compose" / "projects.yaml").read_text("utf-8")
)
SOURCE = [Proposal(("source", "directory"), "../project", "")]


def written(files: dict[str, str], directory: Path) -> Tree:
    """The project, on disk."""
    for name, text in files.items():
        file = directory / name
        file.parent.mkdir(parents=True, exist_ok=True)
        file.write_text(text, encoding="utf-8")
    names = (path for path in directory.rglob("*") if path.is_file())
    return Tree(LocalFiles(directory), tuple(sorted(str(n.relative_to(directory)) for n in names)))


def flat(text: str) -> str:
    """Without line breaks, and without what makes a line a comment."""
    return " ".join(" ".join(line.strip().lstrip("# ") for line in text.splitlines()).split())


def proposed(files: dict[str, str], directory: Path) -> ProposedApp:
    tree = written(files, directory / "project")
    return propose("tts", Path("apps/tts.yaml"), tree, SOURCE)


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_project(case: dict[str, Any], tmp_path: Path) -> None:
    app = proposed(case["files"], tmp_path)
    block = yaml.safe_load(app.text)["x-gpuhost"]
    assert block.pop("source") == {"directory": "../project"}
    assert block == case["block"]
    for line in case.get("says", []):
        assert flat(line) in flat(app.text), line
    for text in case.get("never", []):
        assert text not in app.text
    assert app.todo == case.get("todo", 0)
    if "files_to_write" in case:
        assert dict(app.files) == case["files_to_write"]


@pytest.mark.parametrize("case", CASES, ids=lambda case: str(case["name"]))
def test_the_file_is_loaded_as_it_was_checked(case: dict[str, Any], tmp_path: Path) -> None:
    text = proposed(case["files"], tmp_path).text
    file = tmp_path / "apps" / "tts.yaml"
    file.parent.mkdir()
    file.write_text(text, encoding="utf-8")
    app = load(file)
    assert set(app.block.secrets) == set(case["block"].get("secrets", {}))


# A change of the projects or of the words may not leave the test without any.
LEAST_SUGGESTIONS = 20
SUGGESTION = re.compile(r"( +)# ([A-Za-z0-9_./\"-]+: (?:[\[{\"].*|\S+(?:  #.*)?)|- .*)")


def test_each_suggestion_is_valid_and_changes_the_app(tmp_path: Path) -> None:
    tried = 0
    for number, case in enumerate(CASES):
        file = tmp_path / str(number) / "apps" / "tts.yaml"
        file.parent.mkdir(parents=True)
        text = proposed(case["files"], tmp_path / str(number)).text
        file.write_text(text, encoding="utf-8")
        as_proposed = load(file).block
        for line, enabled in _suggestions(text):
            file.write_text(text.replace(line, enabled), encoding="utf-8")
            assert load(file).block != as_proposed, (case["name"], line)
            tried += 1
    assert tried >= LEAST_SUGGESTIONS


def _suggestions(text: str) -> Iterator[tuple[str, str]]:
    """Each commented line that is a suggestion, and the line without its comment sign."""
    for line in text.splitlines():
        match = SUGGESTION.fullmatch(line)
        if match and f"\n{match[1]}{match[2].partition(':')[0]}:" not in text:
            yield line, f"{match[1]}{match[2]}"


@pytest.mark.parametrize("case", OTHERS, ids=lambda case: str(case["name"]))
def test_no_project_gives_an_invalid_file(case: dict[str, Any], tmp_path: Path) -> None:
    """A project is refused for what is wrong with its own files only."""
    try:
        app = proposed(case["files"], tmp_path)
    except BadApp as error:
        assert not [line for line in error.lines if line.startswith("apps/")]
        return
    assert "x-gpuhost" in yaml.safe_load(app.text)


ONE_FILE = [case["files"] for case in CASES if "compose.yaml" in case["files"]]


@pytest.mark.parametrize("index", range(len(ONE_FILE)))
def test_two_projects_in_one(index: int, tmp_path: Path) -> None:
    """What is proposed for one service does not depend on what is proposed for another."""
    for step in (1, 2, 5):
        first, second = ONE_FILE[index], ONE_FILE[(index + step) % len(ONE_FILE)]
        compose: dict[str, Any] = {}
        for files in (second, first):
            for key, value in yaml.safe_load(files["compose.yaml"]).items():
                is_mapping = isinstance(value, dict)
                compose[key] = {**compose.get(key, {}), **value} if is_mapping else value
        files = {**second, **first, "compose.yaml": yaml.safe_dump(compose, sort_keys=False)}
        app = proposed(files, tmp_path / str(step))
        assert app.text.startswith("# tts: made by")


JUNK = (
    *(None, "", 0, -1, 1.5, True, [], {}, "a:b", "$", "${", "${X:-${Y}}", "\u2028x", "7" * 99),
    *("'\"", ["a", None, {}], {"a": None}, "99999999:1", "./x:/y:z:w", "sqlite:///"),
    "http://localhost:0/x",
)  # fmt: skip
NAMES = ("x-y", "a b", "é", "\u2028", "cpu", "gpu")


def mutated(value: Any, chance: Random) -> Any:
    if chance.random() < 0.04:
        return chance.choice(JUNK)
    if isinstance(value, dict):
        return {
            key if chance.random() > 0.02 else chance.choice(NAMES): mutated(item, chance)
            for key, item in value.items()
        }
    return [mutated(item, chance) for item in value] if isinstance(value, list) else value


@pytest.mark.parametrize("seed", range(60))
def test_a_damaged_project_is_read_or_refused(seed: int, tmp_path: Path) -> None:
    """Every error is one of the project's own files."""
    chance = Random(seed)
    files = dict(chance.choice(CASES)["files"])
    for name in files:
        if name.endswith((".yml", ".yaml")):
            value = mutated(yaml.safe_load(files[name]), chance)
            files[name] = yaml.safe_dump(value, sort_keys=False, allow_unicode=True)
    try:
        app = proposed(files, tmp_path)
    except BadApp as error:
        assert not [line for line in error.lines if line.startswith("apps/")]
        return
    assert "x-gpuhost" in yaml.safe_load(app.text)


def test_names_that_compose_refuses(tmp_path: Path) -> None:
    text = "services:\n  a b: {image: a}\n  c: {image: c, profiles: ['x y']}\n"
    with pytest.raises(BadApp) as raised:
        proposed({"compose.yaml": text}, tmp_path)
    assert raised.value.lines == (
        "compose.yaml:2: services.a b: a service's name has only letters, digits, ., _ and -",
        "compose.yaml:3: services.c.profiles: x y: not a name",
    )


def test_the_example_of_the_page(tmp_path: Path) -> None:
    """Every line of the page is of the file, but for the repository, which is not there."""
    page = (Path(__file__).parents[3] / "docs" / "apps.md").read_text("utf-8")
    shown = page.partition("Of the file, shortened:")[2].split("```")[1].removeprefix("yaml\n")
    before, _, after = shown.partition("    git: ")
    files = next(case["files"] for case in CASES if case["name"] == "the example of docs/apps.md")
    lines = proposed(files, tmp_path).text.splitlines()
    of_project = (*before.splitlines(), *after.splitlines()[2:])
    assert [line for line in of_project if line not in lines] == []
    said = page.partition("Of the file, shortened:")[0]
    assert "1 marked TODO" in said
