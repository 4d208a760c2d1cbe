"""Checks before a release, as data: a recorded host, edits, the app file, the findings."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.loading import load
from gpuhost.checks.preflight import all_app_checks, preflight
from gpuhost.release.variant import choose_variant
from gpuhost.settings.merge import Layer, merge_layers
from tests.recorded import snapshot_of

# The settings with which the recorded hosts were provisioned.
PROVISIONED: dict[str, dict[str, Any]] = {
    "debian13-docker": {
        "docker_mirror": "http://10.232.77.12/docker-ce",
        "docker_key_fingerprint": "F934DEB9AF5321CBF4E62C04643E22293A766BDC",
    },
    "debian13-p40": {
        "docker_mirror": "http://archive.example.invalid/docker-ce",
        "docker_key_fingerprint": "F934DEB9AF5321CBF4E62C04643E22293A766BDC",
        "toolkit_mirror": "http://archive.example.invalid/libnvidia-container",
        "toolkit_key_fingerprint": "9D1696E9B8E5477EA1DDB38A98561D9DCBEBFFC8",
    },
}
CASES = [
    pytest.param(case, id=f"{file.stem}: {case['name']}")
    for file in sorted((Path(__file__).parent / "app_cases").glob("*.yaml"))
    for case in yaml.safe_load(file.read_text("utf-8"))
]


@pytest.mark.parametrize("case", CASES)
def test_findings(case: dict[str, Any], tmp_path: Path) -> None:
    """`findings` has the status of every check that is neither ok nor, for this app, skip."""
    path = tmp_path / "tts.yaml"
    path.write_text(yaml.safe_dump(case["app"], sort_keys=False))
    app, snapshot = load(path), snapshot_of(case)
    values = {**PROVISIONED.get(case["host"], {}), **case.get("settings", {})}
    settings = merge_layers([Layer("the case", values)])
    choice = choose_variant(app, snapshot, settings)
    findings = {
        f.id: f for f in preflight(snapshot, app, choice, settings, secrets=case.get("secrets", []))
    }
    statuses = {id: finding.status.value for id, finding in findings.items()}
    # Only for an app that gets a card, and declares its memory.
    with_card = bool(getattr(choice, "reservations", None))
    with_vram = with_card and "vram_gb" in str(case["app"])
    of_cards = {
        "app.cards": "ok" if with_card else "skip",
        "app.vram": "ok" if with_vram else "skip",
        "app.limits": "ok" if with_card else "skip",
    }
    expected = dict.fromkeys(statuses, "ok") | of_cards
    assert statuses == expected | case.get("findings", {})
    for id, pattern in case.get("says", {}).items():
        words = "\n".join(
            (findings[id].expected, findings[id].actual, findings[id].evidence, findings[id].fix)
        )
        assert re.search(pattern, words), f"{id} says:\n{words}"


def test_every_check_is_seen_failing_or_warning() -> None:
    """A check that no case makes fail or warn cannot be trusted to fail."""
    seen = {
        id
        for case in CASES
        for id, status in case.values[0].get("findings", {}).items()
        if status in ("fail", "warn")
    }
    assert {check.id for check in all_app_checks()} - seen == set()
