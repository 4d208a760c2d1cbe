"""Undeclared values that the record stores."""

from __future__ import annotations

import json

import pytest

from gpuhost.checks.finding import Finding, Status
from gpuhost.drift.applied import document, document_without
from gpuhost.plans.apt_sources import FACT, on_record
from gpuhost.plans.gpu import needs_gpu
from gpuhost.plans.gpu import on_record as cards
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.applied import APPLIED, Applied
from tests.recorded import probes

GOOD = [Finding(Status.OK, id="swap.size")]
FACTS = {FACT: ["/etc/apt/sources.list: deb http://example.com stable main (signed by any key)"]}


def written(before: Applied | None, facts: dict[str, list[str]] | None) -> Applied | None:
    text = document(before, Settings(), GOOD, at=1, by="ada@desk", facts=facts)
    return None if text is None else Applied.read(probes("debian13", files={APPLIED: text}))


def test_facts_are_stored_and_updated() -> None:
    first = written(None, FACTS)
    assert first is not None and first.facts == FACTS
    assert written(first, FACTS) is None
    assert written(first, None) is None, "what cannot be read is as before"
    second = written(first, {FACT: []})
    assert second is not None and second.facts == {FACT: []}


def test_facts_stay_when_a_noun_is_removed() -> None:
    first = written(None, FACTS)
    text = document_without(first, frozenset({"swap"}))
    assert text is not None
    assert json.loads(text)["facts"] == FACTS


def test_a_record_without_facts() -> None:
    first = written(None, None)
    assert first is not None and first.facts == {}


CARDS = "nvidia_cards"


@pytest.mark.parametrize(
    ("host", "gpu", "before", "expected"),
    [
        ("debian13-p40", "auto", 0, 1),
        ("debian13", "auto", 0, 0),
        # A deploy on a host without its cards does not forget them.
        ("debian13", "auto", 2, 2),
        ("debian13-p40", "auto", 8, 8),
        ("debian13", "none", 2, 0),
    ],
)
def test_the_hosts_cards(host: str, gpu: str, before: int, expected: int) -> None:
    settings = Settings.model_validate({"gpu": gpu})
    record = document(None, settings, GOOD, at=1, by="ada@desk", facts={CARDS: before})
    snapshot = Snapshot(probes(host, files={APPLIED: record}))
    assert cards(snapshot, settings) == {CARDS: expected}
    assert needs_gpu(snapshot, settings) is bool(expected)


def test_a_declared_number_forgets_the_cards_that_were_removed() -> None:
    settings = Settings(gpu_count=1)
    record = document(None, settings, GOOD, at=1, by="ada@desk", facts={CARDS: 8})
    assert cards(Snapshot(probes("debian13-p40", files={APPLIED: record})), settings) == {CARDS: 1}


def test_the_hosts_sources() -> None:
    facts = on_record(Snapshot(probes("debian13")))
    assert facts is not None
    assert [line.split(": ")[0] for line in facts[FACT]] == 2 * [
        "/etc/apt/sources.list.d/debian.sources"
    ]
    assert on_record(Snapshot(probes("debian13", changed={"apt_sources": {"rc": None}}))) is None
