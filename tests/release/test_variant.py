"""The variant that a host gets: tests/release/variants.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.model import XGpuhost
from gpuhost.release.variant import ChosenVariant, NoVariant, choose_variant
from gpuhost.settings.merge import Layer, merge_layers
from gpuhost.snapshot import Snapshot
from tests.recorded import snapshot_of

CASES = yaml.safe_load(Path(__file__).with_name("variants.yaml").read_text("utf-8"))


def _host(case: dict[str, Any]) -> Snapshot:
    probes = case.get("probes", {})
    if "cards" in case:
        rows = (
            f"{index}, GPU-00000000-0000-0000-0000-00000000000{index}, {name}, 535.183.01, {mib}, "
            f"0, {capability}, {mig}, Disabled, Enabled, 00000000:0{index}:00.0, 21, 0, 10.0"
            for index, name, mib, capability, mig in case["cards"]
        )
        probes = {"nvidia_query": {"rc": 0, "out": "\n".join(rows)}}
    return snapshot_of({"host": case["host"], "probes": probes})


def _block(case: dict[str, Any]) -> XGpuhost:
    keys = ("gpu", "with_gpu", "without_gpu")
    return XGpuhost.model_validate({key: case[key] for key in keys if key in case})


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_variant(case: dict[str, Any]) -> None:
    block = _block(case)
    settings = merge_layers([Layer("the case", case.get("settings", {}))])
    choice = choose_variant(block, _host(case), settings)
    if "refused" in case:
        assert choice == NoVariant(case["refused"])
        return
    assert isinstance(choice, ChosenVariant), choice
    assert choice.with_gpu is ("reserved" in case)
    variant = block.with_gpu if choice.with_gpu else block.without_gpu
    if variant:
        assert (choice.profiles, choice.leave_out) == (variant.profiles, variant.leave_out)
    reserved = {
        service: list(one.device_ids) or one.count or "all"
        for service, one in choice.reservations.items()
    }
    assert reserved == case.get("reserved", {})
    assert choice.why == case.get("why", case.get("without", choice.why))
    assert choice.without_card is case.get("without_card", False)


def test_the_number_of_cases() -> None:
    assert len(CASES) == 33
