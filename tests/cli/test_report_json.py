"""The JSON of every reading command does not change: programs read it."""

from __future__ import annotations

import json

import pytest

from gpuhost.drift.difference import Cause
from gpuhost.fleet.host_status import HostStatus
from tests.cli.golden import DIRECTORY, VERBS, golden


@pytest.mark.parametrize("verb", VERBS)
def test_the_json_is_the_golden_one(verb: str) -> None:
    """After an intended change: python -m tests.cli.golden"""
    assert golden(verb) == (DIRECTORY / f"{verb}.json").read_text("utf-8")


def test_a_host_has_one_status_everywhere() -> None:
    seen = set()
    for verb in ("check", "drift", "status", "releases"):
        for host in json.loads(golden(verb))["hosts"]:
            assert list(host)[:2] == ["host", "status"]
            seen.add(host["status"])
    assert seen == {status.value for status in HostStatus}


def test_the_golden_json_has_every_cause() -> None:
    hosts = json.loads(golden("drift"))["hosts"]
    causes = {one["cause"] for host in hosts for one in host["findings"]}
    assert causes == {None, *(cause.value for cause in Cause)}
