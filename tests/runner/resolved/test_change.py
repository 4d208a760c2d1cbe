"""What the runner makes of Compose's answer: models in, plan and facts, models out.

In cases/: `services` and `others` are as `docker compose config` prints them; SOURCE, SHARED and
FILES are the directories of roots(). `becomes` has the keys of each service afterwards, null where
the key must be missing; `gone` the services that are not there. `notes` and `refused` are texts.
"""

from __future__ import annotations

from copy import deepcopy
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.runner.contract import from_json
from gpuhost.runner.docker import resolved_model
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan
from gpuhost.runner.resolved.change import Changed, Facts, change
from gpuhost.runner.resolved.path_facts import PathFacts, Roots, mentioned

HOME = "/opt/gpuhost/app"
DIRECTORIES = {
    "SOURCE": f"{HOME}/releases/1/source",
    "SHARED": f"{HOME}/shared",
    "FILES": f"{HOME}/files",
}
MINIMAL = {"app": "app", "id": "1", "inputs": "", "by": "", "project": "app", "revision": "r"}
FILES = sorted(Path(__file__).with_name("cases").glob("*.yaml"))


def read(file: Path) -> list[dict[str, Any]]:
    text = file.read_text(encoding="utf-8")
    for name, directory in DIRECTORIES.items():
        text = text.replace(name, directory)
    cases: list[dict[str, Any]] = yaml.safe_load(text)
    return cases


CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}") for file in FILES for case in read(file)
]


def model_of(case: dict[str, Any]) -> dict[str, Any]:
    return {"name": "app", "services": case["services"], **case.get("others", {})}


def plan_of(case: dict[str, Any]) -> Plan:
    return from_json(Plan, {**MINIMAL, **case.get("plan", {})})


def facts_of(case: dict[str, Any], model: dict[str, Any]) -> Facts:
    given = dict(case.get("facts", {}))
    roots = Roots(
        DIRECTORIES["SOURCE"], DIRECTORIES["SHARED"], DIRECTORIES["FILES"], "/opt/gpuhost",
        given.pop("base", "."),
    )  # fmt: skip
    known = {path: from_json(PathFacts, one) for path, one in given.pop("paths", {}).items()}
    paths = {path: known.get(path, PathFacts()) for path in mentioned(model, roots)}
    return replace(
        Facts(roots, paths, engine=26, cores=8),
        **{key: frozenset(v) if key in ("volumes", "networks") else v for key, v in given.items()},
    )


def changed_by(case: dict[str, Any]) -> Changed:
    model = model_of(case)
    before = deepcopy(model)
    try:
        return change(model, plan_of(case), facts_of(case, model))
    finally:
        assert model == before, "the functions are pure"


@pytest.mark.parametrize("case", [c for c in CASES if "refused" not in c.values[0]])
def test_a_model_becomes(case: dict[str, Any]) -> None:
    changed = changed_by(case)
    services = changed.model["services"]
    for name, expected in case.get("becomes", {}).items():
        assert {key: services[name].get(key) for key in expected} == expected, name
    for kind, expected in case.get("others_become", {}).items():
        assert changed.model.get(kind) == expected
    assert not set(case.get("gone", ())) & set(resolved_model.running(changed.model))
    kept = vars(resolved_model.extension(changed.model))
    for key, expected in case.get("kept", {}).items():
        assert list(kept[key]) == expected
    assert changed.files == case.get("files", changed.files)
    for note in case.get("notes", ()):
        assert any(note in one for one in changed.notes), changed.notes
    if case.get("notes") == []:
        assert changed.notes == ()


@pytest.mark.parametrize("case", [c for c in CASES if "refused" in c.values[0]])
def test_a_model_is_refused(case: dict[str, Any]) -> None:
    with pytest.raises(Failure) as raised:
        changed_by(case)
    for words in case["refused"]:
        assert words in raised.value.said
    assert case["fix"] in raised.value.fix


def test_every_function_has_cases() -> None:
    assert {file.stem for file in FILES} == {
        "services", "ports", "cards", "limits", "health", "paths", "external", "proxies",
    }  # fmt: skip
