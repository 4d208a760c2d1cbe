"""The CUDA decision and its facts, compared with tables."""

from __future__ import annotations

from collections import Counter
from dataclasses import replace
from datetime import date
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.branches import needed_driver, recommended_branch
from gpuhost.domain.nvidia.cards import CARDS
from gpuhost.domain.nvidia.cuda import decide
from gpuhost.domain.nvidia.cuda_rule import Rule
from gpuhost.domain.nvidia.toolkits import TOOLKITS, driver_cuda, minimum_driver, support_ended
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion
from tests.nvidia.fixtures import cards, driver, table

DECISIONS = table("cuda_decisions")


def _name(row: dict[str, Any]) -> str:
    return f"{row['driver']}-{'+'.join(row['cards'])}-{row['wanted']}"


@pytest.mark.parametrize("row", DECISIONS, ids=_name)
def test_decision(row: dict[str, Any]) -> None:
    cuda = CudaVersion.parse(row["wanted"])
    decision = decide(driver(row["driver"]), cards(row["cards"]), cuda)
    actual = {
        "rule": decision.rule.name,
        "offer": str(decision.offer) if decision.offer else None,
        "needed": str(decision.needed) if decision.needed else None,
        "branch": decision.branch,
    }
    expected = {key: row[key] for key in actual if key in row}
    assert {key: actual[key] for key in expected} == expected, decision
    assert row.get("reason", "") in decision.reason
    for part in row.get("notes", []):
        assert any(part in note for note in decision.notes), decision.notes


def test_number_of_rows_of_the_decision_table() -> None:
    rules = Counter(row["rule"] for row in DECISIONS)
    assert len(DECISIONS) == 245
    assert set(rules) == {rule.name for rule in Rule}
    natively = {row["wanted"] for row in DECISIONS if row["rule"] == "NATIVE"}
    assert {str(toolkit.cuda) for toolkit in TOOLKITS} <= natively
    assert len(TOOLKITS) == 55


def test_minimum_drivers_rise_with_cuda() -> None:
    drivers = [toolkit.driver for toolkit in TOOLKITS]
    assert drivers == sorted(drivers)
    assert [t.cuda for t in TOOLKITS] == sorted({t.cuda for t in TOOLKITS})


def test_support_of_a_branch_ends_on_its_day() -> None:
    assert support_ended(535, date(2026, 6, 30)) is False
    assert support_ended(535, date(2026, 7, 1)) is True
    assert support_ended(580, date(2026, 11, 21)) is False
    today = date(2026, 11, 30)
    ended = (470, 525, 530, 535, 545, 550, 555, 560, 565, 570, 575, 610)
    assert all(support_ended(branch, today) for branch in ended)
    assert [support_ended(branch, today) for branch in (580, 595, 620)] == [False] * 3
    assert [support_ended(branch, today) for branch in (590, 615, 640)] == [None] * 3


def test_what_a_driver_reports_goes_before_the_table() -> None:
    silent = DriverVersion.parse("620.70.06")
    assert driver_cuda(silent) == CudaVersion(13, 4)
    reported = replace(silent, cuda=CudaVersion(13, 5))
    assert driver_cuda(reported) == CudaVersion(13, 5)
    assert decide(reported, cards(["L40S"]), CudaVersion(13, 5)).rule is Rule.NATIVE
    assert decide(reported, cards(["L40S"]), CudaVersion(13, 6)).rule is Rule.MINOR_COMPAT


DRIVERS = st.builds(
    lambda *parts: DriverVersion(parts, ".".join(map(str, parts))),
    st.integers(300, 700),
    st.integers(0, 300),
    st.integers(0, 99),
)
CUDAS = st.builds(CudaVersion, st.integers(10, 15), st.integers(0, 12), st.integers(0, 4))
CARD_LISTS = st.lists(st.sampled_from(list(CARDS.values())), max_size=4)


@given(DRIVERS, CARD_LISTS, CUDAS)
def test_a_decision_holds_for_any_host(
    version: DriverVersion, some: list[Any], cuda: CudaVersion
) -> None:
    decision = decide(version, some, cuda)
    assert decision.reason.endswith(".")
    if decision.rule is Rule.NATIVE:
        minimum = minimum_driver(cuda)
        assert minimum is not None and version >= minimum
    if decision.rule.runs and decision.offer:
        own = driver_cuda(version)
        assert own is not None and decision.offer <= own


@given(CARD_LISTS.filter(bool), CUDAS)
def test_the_recommended_driver_is_sufficient(some: list[Any], cuda: CudaVersion) -> None:
    without = decide(None, some, cuda)
    if without.needed is not None:
        assert decide(without.needed, some, cuda).rule.runs
    assert without.needed in (None, needed_driver(some, cuda))
    assert without.branch in (None, recommended_branch(some, cuda))
