"""The compute mode, in the tables of every simulated card."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.compute_mode import compute_modes
from tests.lab import cards


@pytest.mark.parametrize("card", [name for name in cards.names() if "query" in cards.load(name)])
def test_every_card_of_a_table_has_a_mode(card: str) -> None:
    data = cards.load(card)
    there = data["query"].strip().count("\n")
    assert compute_modes(data["answers"]["table"]) == ("Default",) * there


@pytest.mark.parametrize("mode", ["Default", "E. Process", "E. Thread", "Prohibited"])
def test_the_modes(mode: str) -> None:
    line = f"| N/A   45C    P0    10W /  N/A  | Not Supported        |    N/A   {mode:>11} |"
    assert compute_modes(line) == (mode,)


@given(st.text())
def test_any_text_is_read(text: str) -> None:
    assert isinstance(compute_modes(text), tuple)
