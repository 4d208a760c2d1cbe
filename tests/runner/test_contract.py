"""Files of a host as the controller reads them: complete, partial or damaged."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.runner.contract import Operation, Result, release_unit, resume_unit


@pytest.mark.parametrize("value", [None, [], "text", 7, {}, {"state": 5, "kind": None}])
def test_an_unreadable_field_of_a_result_has_its_default(value: object) -> None:
    result = Result.lenient(value)
    assert (result.state, result.kind, result.verified) == ("unknown", "release", False)
    assert (result.said, result.started, result.gap_s, result.logs) == ("", 0, None, ())


def test_readable_fields_of_a_damaged_result_are_kept() -> None:
    result = Result.lenient({"state": "verified", "ended": 1795300000.5, "logs": [1], "gap_s": 2})
    assert (result.verified, result.ended, result.logs, result.gap_s) == (True, 1795300000.5, (), 2)


@pytest.mark.parametrize("started", [float("inf"), float("nan"), -1, 10**400, True, "7", 1e30])
def test_an_invalid_time_is_unknown(started: Any) -> None:
    operation = Operation.lenient({"kind": "restore", "id": "a", "by": "ada", "started": started})
    assert (operation.started, operation.sentence) == (0, "restore a by ada")


def test_the_sentence_of_an_operation() -> None:
    operation = Operation("release", "1", "ada@desk", 1795300100.2)
    assert operation.sentence == "release 1 by ada@desk, since 2026-11-21 22:28:20 UTC"
    assert Operation.lenient({}) == Operation("release", "", "", 0)


def test_unit_names_do_not_change() -> None:
    assert release_unit("tts") == "gpuhost-release-tts.service"
    assert resume_unit("tts") == "gpuhost-resume@tts.service"
