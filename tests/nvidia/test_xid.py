"""Errors in the kernel's log, with the action of NVIDIA's catalogue."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.domain.nvidia.actions import Action
from gpuhost.domain.nvidia.xid import parse
from gpuhost.domain.nvidia.xid_catalogue import KNOWN
from tests.nvidia.fixtures import table


@pytest.mark.parametrize(
    "case", table("xid"), ids=lambda case: f"{case.get('times', 1)} x {case['line'][:60]}"
)
def test_action(case: dict[str, Any]) -> None:
    (error,) = parse(f"{case.get('times', 1)}\t2026-11-21T20:01:59,1+00:00 {case['line']}\n")
    assert error.meaning.action.name == case["action"]
    assert error.meaning.harmless == case.get("harmless", False)
    assert error.meaning.what and error.meaning.remedy


def test_a_request_that_was_withdrawn_is_no_error() -> None:
    line = "154, GPU recovery action changed from 0x1 (GPU Reset Required) to 0x0 (None)"
    assert parse(f"1\tx NVRM: Xid (PCI:0000:84:00): {line}\n") == ()


def test_what_is_harmless_needs_no_reset() -> None:
    for number, meaning in KNOWN.items():
        assert meaning.harmless <= meaning.action.harmless, number
        assert meaning.action is not Action.IGNORE or meaning.harmless, number


def test_actions_are_in_order_of_severity() -> None:
    names = [action.name for action in sorted(Action, key=lambda action: action.value)]
    assert names == ["IGNORE", "RESTART", "INSPECT", "RESET", "REBOOT", "REPLACE"]
    assert [action.name for action in Action if action.blocks] == ["RESET", "REBOOT", "REPLACE"]
