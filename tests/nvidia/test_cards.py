"""Cards by name, by compute capability and by PCI id."""

from __future__ import annotations

from itertools import pairwise
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.architectures import ARCHITECTURES
from gpuhost.domain.nvidia.cards import CARDS, card_named, identify
from gpuhost.domain.nvidia.display import is_served, left_out
from gpuhost.domain.nvidia.fabric_manager import FabricManager
from gpuhost.domain.nvidia.fabric_manager import fabric_manager as needed_fabric_manager
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.pci_ids import BLOCKS, MODELS
from gpuhost.domain.nvidia.version import ComputeCapability
from gpuhost.domain.nvidia.vgpu import profile
from tests.nvidia.fixtures import table

NAMES: list[Any] = table("cards")
DEVICES: list[Any] = table("pci")


@pytest.mark.parametrize("row", NAMES, ids=lambda row: row[0] or "empty")
def test_card_by_name(row: list[Any]) -> None:
    card = card_named(row[0])
    actual = card and [
        card.model,
        str(card.architecture),
        card.data_center,
        card.brand.value,
        card.modules.name,
    ]
    assert actual == (row[1:] if row[1] else None)


@pytest.mark.parametrize("row", DEVICES, ids=lambda row: row[0] or "empty")
def test_card_by_pci_id(row: list[Any]) -> None:
    card = card_of_device(row[0])
    assert (str(card) if card else None) == row[1]


def test_number_of_rows() -> None:
    assert (len(NAMES), len(DEVICES)) == (78, 58)
    named = {row[2] for row in NAMES if row[1]}
    assert named >= {str(row) for row in ARCHITECTURES} - {"Maxwell (5.0)"}


def test_every_pci_model_is_a_card_and_has_its_own_ids() -> None:
    ids = [device for devices in MODELS.values() for device in devices.split()]
    assert len(ids) == len(set(ids)) == 130
    assert all(card_named(model) for model in MODELS)
    assert all(len(device) == 4 and int(device, 16) for device in ids)


def test_blocks_of_ids_do_not_overlap() -> None:
    ranges = sorted((int(first, 16), int(last, 16)) for first, last, _ in BLOCKS)
    assert all(first <= last for first, last in ranges)
    assert all(a[1] < b[0] for a, b in pairwise(ranges))


def test_architectures_are_consistent() -> None:
    assert len({row.capability for row in ARCHITECTURES}) == len(ARCHITECTURES) == 20
    for row in ARCHITECTURES:
        assert row.runs_from <= row.first_cuda
        assert row.last_cuda is None or row.first_cuda <= row.last_cuda
        assert row.last_branch is None or row.first_branch <= row.last_branch
        assert (row.last_cuda is None) == (row.last_branch is None)


def test_the_compute_capability_overrules_the_name() -> None:
    card = identify("NVIDIA RTX 6000 Something New", "12.0")
    assert card is not None and card.architecture.capability == ComputeCapability(12, 0)
    assert not card.data_center


@pytest.mark.parametrize("capability", [None, "", "[N/A]", "99.9", "8.0"])
def test_a_known_name_is_kept_if_the_capability_agrees(capability: str | None) -> None:
    assert identify("NVIDIA A100-SXM4-80GB", capability) == card_named("A100")


def test_unknown_names_and_ids_give_nothing() -> None:
    assert identify(None) is None
    assert identify("NVIDIA Experimental Board", None) is None
    assert identify("NVIDIA Experimental Board", "99.9") is None


@given(st.text(max_size=40), st.one_of(st.none(), st.text(max_size=6)))
def test_no_name_makes_it_raise(name: str, capability: str | None) -> None:
    card = identify(name, capability)
    assert card is None or card.model
    assert card_of_device(name) is None or len(name) == 4


def _device(pci_class: str, device: str, vendor: str = "10de") -> PciDevice:
    return PciDevice("0000:07:00.0", pci_class, vendor, device)


H100, B200, GB200 = _device("0302", "2330"), _device("0302", "2901"), _device("0302", "2941")


@pytest.mark.parametrize(
    ("devices", "expected"),
    [
        ([], FabricManager.NOT_NEEDED),
        ([_device("0302", "1b38")], FabricManager.NOT_NEEDED),
        ([H100, _device("0680", "22a3")], FabricManager.NEEDED),
        ([_device("0302", "20b2"), _device("0680", "1af1")], FabricManager.NEEDED),
        ([H100] * 8, FabricManager.NOT_NEEDED),
        ([H100, _device("0680", "22a3", vendor="8086")], FabricManager.NOT_NEEDED),
        ([B200] * 8, FabricManager.UNDECIDED),
        ([B200], FabricManager.NOT_NEEDED),
        ([GB200] * 4, FabricManager.NOT_NEEDED),
    ],
)
def test_fabric_manager(devices: list[PciDevice], expected: FabricManager) -> None:
    assert needed_fabric_manager(devices) is expected


def test_the_audio_function_of_a_card_is_not_a_card() -> None:
    assert H100.is_gpu and _device("0300", "2684").is_gpu
    assert not _device("0403", "22ba").is_gpu
    assert not _device("0302", "2330", vendor="1002").is_gpu


def test_every_model_is_found_by_its_own_name() -> None:
    assert len(CARDS) == 205
    assert all(card_named(card.model) == card for card in CARDS.values())


@pytest.mark.parametrize(
    ("name", "vgpu"),
    [
        ("GRID V100D-8C", "V100D-8C"),
        ("GRID T4-16Q", "T4-16Q"),
        ("NVIDIA A100-1-5CME", "A100-1-5CME"),
        ("GRID M10-2B4", "M10-2B4"),
        ("NVIDIA RTX PRO 6000 Blackwell DC-4-96Q", "RTX PRO 6000 Blackwell DC-4-96Q"),
        ("NVIDIA X999-8C", "X999-8C"),
        ("NVIDIA A100-SXM4-80GB", ""),
        ("NVIDIA A100-PCIE-40GB", ""),
        ("NVIDIA A100-SXM4-80GB MIG 1g.10gb", ""),
        ("NVIDIA H20-3e", ""),
        ("GRID K520", ""),
        ("Tesla V100-SXM2-32GB", ""),
    ],
)
def test_a_virtual_gpu_is_known_by_the_profile_in_its_name(name: str, vgpu: str) -> None:
    assert profile(name) == vgpu
    card = card_named(name)
    assert card is None or card.vgpu == vgpu


SETS = table("left_out")


@pytest.mark.parametrize("row", SETS, ids=lambda row: ", ".join(row["cards"]))
def test_cards_that_are_left_out(row: dict[str, Any]) -> None:
    named = [card_named(name) for name in row["cards"]]
    assert [row["cards"][i] for i in sorted(left_out(named))] == row["left out"]


@pytest.mark.parametrize(
    ("card", "branch", "is_open", "served"),
    [
        ("K80", 470, None, True),
        ("K80", 535, None, False),
        ("P40", 580, False, True),
        ("P40", 580, True, False),
        ("P40", 590, False, False),
        ("RTX 5090", 580, True, True),
        ("RTX 5090", 580, False, False),
        ("GT 1030", 580, None, True),
    ],
)
def test_cards_that_a_driver_serves(
    card: str, branch: int, is_open: bool | None, served: bool
) -> None:
    known = card_named(card)
    assert known and is_served(known, branch, is_open) is served
