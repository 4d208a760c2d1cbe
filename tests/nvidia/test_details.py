"""The cards' own reports: healthy cards of every generation are silent, and each fault is found."""

from __future__ import annotations

import re
import subprocess
from collections.abc import Iterator
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.card_faults import (
    Fault,
    faults_of_fabric,
    faults_of_link,
    faults_of_memory,
    faults_of_state,
)
from gpuhost.domain.nvidia.card_heat import faults_of_clocks
from gpuhost.domain.nvidia.nvlink import active_links, fewer_links
from gpuhost.domain.nvidia.smi_xml import LARGEST, BadXmlError, Report, parse_reports
from gpuhost.snapshot.nvidia_health import WITHOUT_LISTS
from tests.nvidia.details import LISTS, details
from tests.nvidia.fixtures import table

CARDS = [card for card in table("details") if "texts" in card]
FAULTS = table("faults")
SLOT = 16


def _printed(card: dict[str, Any], changed: dict[str, str] | None = None) -> str:
    """What the collector sends of the whole output."""
    texts = {**card["texts"], **(changed or {})}
    texts.pop("slot", None)
    bus_id = card.get("bus_id", "00000000:84:00.0")
    text = details([(bus_id, texts)], driver=card["driver"], lists=LISTS) + card.get("after", "")
    awk = ["awk", WITHOUT_LISTS]
    done = subprocess.run(awk, input=text, capture_output=True, text=True, check=True, timeout=20)
    return done.stdout


def _faults(report: Report, slot: int | None) -> Iterator[tuple[str, Fault]]:
    found = {
        "state": faults_of_state(report),
        "memory": faults_of_memory(report),
        "clocks": faults_of_clocks(report),
        "link": faults_of_link(report, slot),
        "fabric": faults_of_fabric(report),
    }
    for name, faults in found.items():
        yield from ((name, fault) for fault in faults)


@pytest.mark.parametrize("card", CARDS, ids=lambda card: card["name"])
def test_a_healthy_card_is_silent(card: dict[str, Any]) -> None:
    (report,) = parse_reports(_printed(card))
    assert report.text("product_name") == card["texts"]["product_name"]
    # A virtual machine does not see the slot.
    is_guest = report.text("gpu_virtualization_mode/virtualization_mode") != ""
    slot = None if is_guest else int(card["texts"].get("slot", SLOT))
    assert list(_faults(report, slot)) == []


def test_kinds_of_cards_and_drivers() -> None:
    assert len(CARDS) == 25
    branches = {card["driver"].partition(".")[0] for card in CARDS}
    assert {"470", "525", "535", "550", "580", "590", "595"} <= branches


@pytest.mark.parametrize(
    "case", FAULTS, ids=lambda case: f"{case['card']}: {', '.join(case['set'])}"
)
def test_a_fault_is_found(case: dict[str, Any]) -> None:
    card = next(card for card in CARDS if case["card"] in card["name"])
    (report,) = parse_reports(_printed(card, case["set"]))
    found = list(_faults(report, case.get("slot")))
    assert {name for name, _ in found} == {case["of"]}, found
    fault = found[0][1]
    assert fault.action.name == case["action"]
    assert fault.unknown == case.get("unknown", False)
    assert re.search(case["says"], f"{fault.what} ({fault.evidence})"), fault
    assert fault.remedy


def test_arguments_of_processes_stay_on_the_host() -> None:
    sent = _printed(CARDS[0])
    assert "tops3cret" not in sent
    assert "supported_graphics_clock" not in sent
    assert sent.rstrip().endswith("</nvidia_smi_log>")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "no complete XML: nothing"),
        ("NVIDIA-SMI has failed because it could not", "no complete XML: NVIDIA-SMI has failed"),
        ("<nvidia_smi_log>\n<gpu>", "no complete XML"),
        ("<nvidia_smi_log><gpu>&lol;</gpu></nvidia_smi_log>", "undefined entity"),
        (
            '<nvidia_smi_log><!DOCTYPE a [<!ENTITY b "c">]><gpu>&b;</gpu></nvidia_smi_log>',
            "not valid",
        ),
        (f"<nvidia_smi_log>{'<gpu/>' * 200}</nvidia_smi_log>", "more than 128 cards"),
        (f"<nvidia_smi_log>{'a' * LARGEST}</nvidia_smi_log>", "more than"),
        (f"<nvidia_smi_log><gpu>{'<a>' * 50}{'</a>' * 50}</gpu></nvidia_smi_log>", "too deeply"),
        (
            "<nvidia_smi_log><gpu>"
            + "".join(f"<a{number}>1</a{number}>" for number in range(3000))
            + "</gpu></nvidia_smi_log>",
            "too many values",
        ),
    ],
)
def test_what_is_not_its_output_is_refused(text: str, reason: str) -> None:
    with pytest.raises(BadXmlError, match=reason):
        parse_reports(text)


def test_an_entity_of_a_doctype_is_not_expanded() -> None:
    bomb = '<!DOCTYPE x [<!ENTITY a "aaaa"><!ENTITY b "&a;&a;">]>'
    with pytest.raises(BadXmlError, match="undefined entity"):
        parse_reports(f"{bomb}<nvidia_smi_log><gpu>&b;</gpu></nvidia_smi_log>")


@given(st.text(), st.text(max_size=9))
def test_no_value_makes_a_rule_raise(text: str, other: str) -> None:
    paths = {path: text for card in CARDS for path in card["texts"]}
    for report in (Report("", paths), Report("", dict.fromkeys(paths, other))):
        assert all(fault.remedy for _, fault in _faults(report, 16))


MIXED = """\
GPU 0: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000000)
Nvlink queries are not supported for Devices in MIG mode
GPU 1: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000001)
\t Link 0: 26.562 GB/s
\t Link 1: 26.562 GB/s
GPU 2: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000002)
         Link 0: 26.562 GB/s
         Link 1: <inactive>
GPU 3: NVIDIA H100 80GB HBM3 (UUID: GPU-00000000-0000-0000-0000-000000000003)
"""


def test_cards_with_fewer_links_than_the_others() -> None:
    assert active_links(MIXED) == {1: 2, 2: 1, 3: 0}
    assert fewer_links(MIXED) == {2: (1, 2), 3: (0, 2)}


def test_cards_without_links_are_silent() -> None:
    assert fewer_links("GPU 0: NVIDIA A10 (UUID: GPU-1)\nGPU 1: NVIDIA A10 (UUID: GPU-2)\n") == {}
    assert fewer_links("") == {}
