"""daemon.json as data, and properties of all of them."""

from __future__ import annotations

import copy
import json
from pathlib import Path
from typing import Any

import pytest
import yaml
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.docker.daemon_json import differences, merge
from gpuhost.plans.docker import declared_keys
from gpuhost.settings import Settings

CASES = yaml.safe_load((Path(__file__).parent / "daemon_json_cases.yaml").read_text("utf-8"))


@pytest.mark.parametrize("case", CASES, ids=lambda case: case["name"])
def test_merge(case: dict[str, Any]) -> None:
    present = copy.deepcopy(case["present"])
    merged = merge(present, case["wanted"], case.get("owned", []), adopt=case.get("adopt", False))
    assert merged.values == case["values"]
    assert list(merged.conflicts) == case.get("conflicts", [])
    assert list(merged.owned) == case.get("owned_after", sorted(case["wanted"]))
    assert present == case["present"], "what was there is not changed in place"


def test_number_of_cases() -> None:
    assert len(CASES) == 16


json_values = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(), inner, max_size=3),
    max_leaves=8,
)
objects = st.dictionaries(
    st.sampled_from(["log-driver", "log-opts", "features", "runtimes", "debug", "注释"]),
    json_values,
)


@given(present=objects, gpu=st.booleans(), swarm=st.booleans(), adopt=st.booleans())
def test_any_object_can_be_merged_into(
    present: dict[str, Any], gpu: bool, swarm: bool, adopt: bool
) -> None:
    declared = declared_keys(Settings(docker_features={"cdi": True}), gpu=gpu, swarm=swarm)
    once = merge(present, declared, [], adopt=adopt)
    assert merge(once.values, declared, once.owned, adopt=adopt).values == once.values
    assert json.loads(once.text) == once.values
    if adopt:
        assert differences(once.values, declared) == []
    # Keys outside our paths are unchanged.
    ours_top = {path.partition(".")[0] for path in declared}
    assert {k: v for k, v in once.values.items() if k not in ours_top} == {
        k: v for k, v in present.items() if k not in ours_top
    }


def test_no_live_restore_with_swarm() -> None:
    assert declared_keys(Settings(), gpu=False, swarm=False)["live-restore"] is True
    assert "live-restore" not in declared_keys(Settings(), gpu=False, swarm=True)


def test_address_pools_with_and_without_a_size() -> None:
    settings = Settings(docker_address_pools=("10.200.0.0/16#24", "10.201.0.0/24"))
    assert declared_keys(settings, gpu=False, swarm=False)["default-address-pools"] == [
        {"base": "10.200.0.0/16", "size": 24},
        {"base": "10.201.0.0/24", "size": 24},
    ]
