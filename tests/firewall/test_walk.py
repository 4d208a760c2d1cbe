"""A ruleset and a packet: what becomes of it, and by which rule."""

from __future__ import annotations

from itertools import pairwise

import pytest

from tests.firewall.rulesets import CASES, Case


@pytest.mark.parametrize("case", CASES, ids=str)
def test_a_packet_ends_where_the_rules_lead_it(case: Case) -> None:
    ruleset, packet = case.read()
    outcome = ruleset.outcome(packet)
    assert outcome.verdict == case.packet["verdict"], outcome.rule
    assert case.packet.get("rule", "") in outcome.rule
    assert list(outcome.lists) == case.packet.get("lists", [])


def test_a_walk_has_a_limit() -> None:
    """Two jumps from each chain to the next: a million ways."""
    chains = [f"c{number}" for number in range(21)]
    rules = [f":{chain} - [0:0]" for chain in chains] + ["-A INPUT -j c0"]
    rules += [f"-A {one} -j {other}" for one, other in pairwise(chains) for _ in range(2)]
    text = "\n".join(("*filter", ":INPUT DROP [0:0]", *rules, "COMMIT", ""))
    ruleset, packet = Case("ways", "iptables", text, {"port": 22}, False).read()
    outcome = ruleset.outcome(packet)
    assert outcome.verdict == "unknown"
    assert "too many rules to follow" in outcome.rule
