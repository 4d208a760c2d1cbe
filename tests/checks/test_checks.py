"""Checks as data: a recorded host, edits, the findings. Each noun has a file, cases/NOUN.yaml."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import all_checks, run_checks
from gpuhost.settings.merge import Layer, merge_layers
from tests.recorded import snapshot_of

# Temporary skips: the reason ends without action, or another finding reports it.
LATER = re.compile(
    "does not answer|the packages are not as declared|package manager runs: |see [a-z]+[.]"
    "|: see |ufw is |(nginx|certbot) is not installed|the engine is not running"
)
CASES = Path(__file__).parent / "cases"


def _cases() -> list[Any]:
    return [
        pytest.param(file.stem, case, id=f"{file.stem}: {case['name']}")
        for file in sorted(CASES.glob("*.yaml"))
        for case in yaml.safe_load(file.read_text("utf-8"))
    ]


@pytest.mark.parametrize(("noun", "case"), _cases())
def test_findings(noun: str, case: dict[str, Any]) -> None:
    """`findings` has the status of every check that is not ok."""
    settings = merge_layers([Layer("the case", case.get("settings", {}))])
    findings = {f.id: f for f in run_checks(snapshot_of(case), settings, [noun])}
    expected = dict.fromkeys(findings, "ok") | case.get("findings", {})
    assert {id: f.status.value for id, f in findings.items()} == expected
    assert {id for id, f in findings.items() if f.later} == {
        id for id, f in findings.items() if f.status is Status.SKIP and LATER.search(f.actual)
    }
    for id, pattern in case.get("says", {}).items():
        words = "\n".join(
            (findings[id].expected, findings[id].actual, findings[id].evidence, findings[id].fix)
        )
        assert re.search(pattern, words), f"{id} says:\n{words}"


def test_every_noun_has_cases() -> None:
    assert {check.noun for check in all_checks()} == {file.stem for file in CASES.glob("*.yaml")}


def test_every_check_is_seen_failing_or_warning() -> None:
    """A check that no case makes fail or warn cannot be trusted to fail."""
    seen = {
        id
        for file in CASES.glob("*.yaml")
        for case in yaml.safe_load(file.read_text("utf-8"))
        for id, status in case.get("findings", {}).items()
        if status in ("fail", "warn")
    }
    assert {check.id for check in all_checks()} - seen == set()
