"""What the walker says of a ruleset, the kernel does."""

from __future__ import annotations

import json
from collections.abc import Iterator
from itertools import groupby
from pathlib import Path

import pytest

import tests.firewall
from tests.firewall.rulesets import CASES, Case
from tests.lab.hosts import LabHost
from tests.lab.images import RELEASES

pytestmark = [pytest.mark.lab, pytest.mark.matrix]
PROGRAM = Path(tests.firewall.__file__).with_name("try_packets.py").read_bytes()


def tried() -> Iterator[list[Case]]:
    """The packets of each ruleset that the kernel can be asked about: those of the neighbour."""
    cases = (c for c in CASES if c.kernel and "from" not in c.packet)
    for _, packets in groupby(cases, key=lambda case: case.ruleset):
        known = [case for case in packets if case.packet["verdict"] != "unknown"]
        if known:
            yield known


# One host has iptables 1.8.9, the other 1.8.11; the legacy backend must agree too.
@pytest.mark.parametrize("legacy", [False, True], ids=["nft", "legacy"])
@pytest.mark.parametrize("release", RELEASES)
def test_the_kernel_agrees_with_the_walker(
    debians: list[LabHost], release: str, legacy: bool
) -> None:
    host = next(host for host in debians if host.state.release == release)
    rulesets = [cases for cases in tried() if not (legacy and cases[0].tool == "nft")]
    asked = [
        {
            "tool": f"{cases[0].tool}-legacy" if legacy else cases[0].tool,
            "family": cases[0].family,
            "rules": cases[0].rules,
            "packets": [{"port": c.packet["port"], "protocol": c.protocol} for c in cases],
        }
        for cases in rulesets
    ]
    host.put("/root/try_packets.py", PROGRAM)
    done = host.run("python3 /root/try_packets.py", stdin=json.dumps(asked).encode(), timeout=300)
    differing = {
        str(case): (verdict, case.packet["verdict"])
        for cases, verdicts in zip(rulesets, json.loads(done.stdout), strict=True)
        for case, verdict in zip(cases, verdicts, strict=True)
        if verdict != case.packet["verdict"]
    }
    assert differing == {}, "the kernel's verdict, and the walker's"
    assert len(rulesets) >= 25
