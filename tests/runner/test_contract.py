"""What the controller reads of a host: whole, in part, or damaged."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.runner.contract import Operation, Result, release_unit, resume_unit


@pytest.mark.parametrize("value", [None, [], "text", 7, {}, {"state": 5, "kind": None}])
def test_what_cannot_be_read_of_a_result_is_its_default(value: object) -> None:
    result = Result.lenient(value)
    assert (result.state, result.kind, result.verified) == ("unknown", "release", False)
    assert (result.said, result.started, result.gap_s, result.logs) == ("", 0, None, ())


def test_the_rest_of_a_damaged_result_is_read() -> None:
    result = Result.lenient({"state": "verified", "ended": 1795300000.5, "logs": [1], "gap_s": 2})
    assert (result.verified, result.ended, result.logs, result.gap_s) == (True, 1795300000.5, (), 2)


@pytest.mark.parametrize("started", [float("inf"), float("nan"), -1, 10**400, True, "7", 1e30])
def test_a_time_that_is_none_is_not_known(started: Any) -> None:
    operation = Operation.lenient({"kind": "restore", "id": "a", "by": "ada", "started": started})
    assert (operation.started, operation.sentence) == (0, "restore a by ada")


def test_an_operation_is_said_in_a_sentence() -> None:
    operation = Operation("release", "1", "ada@desk", 1795300100.2)
    assert operation.sentence == "release 1 by ada@desk, since 2026-11-21 22:28:20 UTC"
    assert Operation.lenient({}) == Operation("release", "", "", 0)


def test_units_have_the_names_that_hosts_know() -> None:
    assert release_unit("tts") == "gpuhost-release-tts.service"
    assert resume_unit("tts") == "gpuhost-resume@tts.service"
