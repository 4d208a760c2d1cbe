"""Findings of a released app, as data: the good host of released.yaml, an edit, the findings."""

from __future__ import annotations

import re
from collections import defaultdict
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.checks.deployed import all_deployed_checks, host_checks
from gpuhost.checks.finding import Status
from gpuhost.drift.apps import app_differences
from gpuhost.drift.difference import Difference
from tests.drift.released import case

# Skips for now: the reason ends by itself, or another finding reports it.
LATER = re.compile(
    "is under way|the driver does not work|the engine |the next release is not known"
    "|with a card, but"
)
CASES = [
    pytest.param(one, id=f"{file.stem}: {one['name']}")
    for file in sorted(Path(__file__).with_name("released_cases").glob("*.yaml"))
    for one in yaml.safe_load(file.read_text("utf-8"))
]


def judged(one: dict[str, Any], directory: Path) -> dict[str, Difference]:
    made = case(one, directory)
    found = app_differences(made.snapshot, made.settings, lambda name: made.file, at=0)
    return {difference.finding.id: difference for difference in found}


def said(difference: Difference) -> str:
    """The status of a finding, and its cause."""
    status = difference.finding.status.value
    return status if difference.cause is None else f"{status} {difference.cause.value}"


@pytest.mark.parametrize("one", CASES)
def test_findings(one: dict[str, Any], tmp_path: Path) -> None:
    """`findings` has the status and the cause of every finding that is not ok."""
    found = judged(one, tmp_path)
    expected = one.get("findings", {})
    assert {id: said(it) for id, it in found.items() if said(it) != "ok"} == expected
    skipped = {id: it.finding for id, it in found.items() if it.finding.status is Status.SKIP}
    assert {id for id, finding in skipped.items() if finding.later} == {
        id for id, finding in skipped.items() if LATER.search(finding.actual)
    }
    for id, pattern in one.get("says", {}).items():
        finding = found[id].finding
        words = "\n".join((finding.expected, finding.actual, finding.evidence, finding.fix))
        assert re.search(pattern, words), f"{id} says:\n{words}"


def test_every_check_fails_or_warns_in_a_case() -> None:
    """A check that is never seen failing may not be able to fail."""
    seen = defaultdict(set)
    for parameter in CASES:
        one: Any = parameter.values[0]
        for id, words in one.get("findings", {}).items():
            seen[id.replace("app.tts.", "app.NAME.")].add(words.partition(" ")[0])
    every = [check.id for check in all_deployed_checks()]
    for id in every:
        assert seen[id] & {"fail", "warn"}, id
        assert seen[id] >= {"skip", "unknown"}, id
    assert {check.id for check in host_checks()} <= seen.keys()


def test_as_verified_everything_is_ok(tmp_path: Path) -> None:
    found = judged({}, tmp_path)
    assert {id: one.finding.actual for id, one in found.items() if said(one) != "ok"} == {}
    aspects = {check.id.replace("NAME", "tts") for check in all_deployed_checks()}
    assert set(found) == aspects | {"app.state", "docker.published"}
