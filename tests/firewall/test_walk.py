"""A ruleset and a packet: what becomes of it, and by which rule."""

from __future__ import annotations

import pytest

from tests.firewall.rulesets import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_packet_ends_where_the_rules_lead_it(case: Case) -> None:
    ruleset, packet = case.read()
    outcome = ruleset.outcome(packet)
    assert outcome.verdict == case.packet["verdict"], outcome.rule
    assert case.packet.get("rule", "") in outcome.rule
    assert list(outcome.lists) == case.packet.get("lists", [])
