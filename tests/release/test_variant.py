"""The variant that a host gets: tests/release/variants.yaml."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import yaml

from gpuhost.appfile.app import App
from gpuhost.appfile.loading import load
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
    return snapshot_of({"host": case["host"], "probes": probes, "files": case.get("files", {})})


def _app(case: dict[str, Any], directory: Path) -> App:
    """The services are those of the case, and all that its block names."""
    keys = ("gpu", "with_gpu", "without_gpu", "profiles")
    block = {key: case[key] for key in keys if key in case}
    variants = [block.get("with_gpu") or {}, block.get("without_gpu") or {}, block]
    left_out = [name for one in variants for name in one.get("leave_out", ())]
    services = {name: {"image": "x"} for name in ("app", *block.get("gpu", ()), *left_out)}
    hidden = {"profiles": [name for one in variants for name in one.get("profiles", ())]}
    services["hidden"] = {"image": "x", **(hidden if hidden["profiles"] else {})}
    path = directory / "case.yaml"
    path.write_text(
        yaml.safe_dump({"x-gpuhost": block, "services": {**services, **case.get("services", {})}})
    )
    return load(path)


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_variant(case: dict[str, Any], tmp_path: Path) -> None:
    app = _app(case, tmp_path)
    block = app.block
    settings = merge_layers([Layer("the case", case.get("settings", {}))])
    choice = choose_variant(app, _host(case), settings)
    if "refused" in case:
        assert choice == NoVariant(case["refused"])
        return
    assert isinstance(choice, ChosenVariant), choice
    assert choice.with_gpu is ("reserved" in case)
    variant = block.with_gpu if choice.with_gpu else block.without_gpu
    if variant:
        assert choice.profiles == (*block.profiles, *variant.profiles)
        assert choice.leave_out == variant.leave_out
    reserved = {
        service: list(one.device_ids) or one.count or "all"
        for service, one in choice.reservations.items()
    }
    assert reserved == case.get("reserved", {})
    decided = [service for service, one in choice.reservations.items() if one.is_decided]
    assert decided == case.get("decided", decided)
    assert choice.why == case.get("why", case.get("without", choice.why))
    assert choice.without_card is case.get("without_card", False)


def test_the_number_of_cases() -> None:
    assert len(CASES) == 57
