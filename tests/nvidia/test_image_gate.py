"""Whether the hook of the container toolkit accepts an image."""

from __future__ import annotations

from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from gpuhost.domain.nvidia.card_models import Brand
from gpuhost.domain.nvidia.image_gate import PUBLISHED_GATES, image_gate, published_requirement
from gpuhost.domain.nvidia.toolkits import driver_cuda
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion
from gpuhost.runner.contract import Facts, Gate, environment_gate
from tests.cpu_budget import cpu_budget
from tests.nvidia.fixtures import table

GATES = table("image_gates")


def _facts(driver: DriverVersion, brand: Brand) -> Facts:
    return Facts(driver=str(driver), cuda=str(driver_cuda(driver)), brand=brand.value, arch=None)


@pytest.mark.parametrize("row", GATES, ids=lambda row: str(row)[:70])
def test_gate(row: dict[str, Any]) -> None:
    driver, brand = DriverVersion.parse(row["driver"]), Brand(row["brand"])
    if "env" in row:
        result = environment_gate(row["env"], _facts(driver, brand))
    else:
        image = row.get("image")
        require = published_requirement(CudaVersion.parse(image)) if image else row["require"]
        assert require is not None
        result = image_gate(require, driver, brand, compute_capability=row.get("capability"))
    assert result.gate.name == row["gate"], result.reason
    assert result.reason


def test_number_of_rows() -> None:
    assert len(GATES) == 117
    assert {row["image"] for row in GATES if "image" in row} >= {str(c) for c in PUBLISHED_GATES}
    assert len(PUBLISHED_GATES) == 14


def test_the_published_requirement_reads_as_in_the_image() -> None:
    requirement = published_requirement(CudaVersion.parse("12.1.1"))
    assert requirement is not None
    assert requirement.startswith(
        "cuda>=12.1 brand=tesla,driver>=470,driver<471 brand=unknown,driver>=470,driver<471 "
    )
    assert "brand=tesla,driver>=525,driver<526" in requirement
    assert published_requirement(CudaVersion.parse("12.9")) is None


@given(st.text(max_size=60), st.lists(st.text(max_size=30), max_size=4))
def test_no_requirement_makes_it_raise(require: str, environment: list[str]) -> None:
    driver = DriverVersion.parse("535.183.01")
    assert image_gate(require, driver, Brand.TESLA).reason
    facts = _facts(driver, Brand.UNKNOWN)
    assert environment_gate([*environment, f"NVIDIA_REQUIRE_X={require}"], facts).reason


@pytest.mark.parametrize(
    "require",
    [
        f"cuda>=99{' ' * 1_000_000}x",
        f"{'cuda>=99 ' * 100_000}",
        f"{' , ' * 300_000}x",
        "1" * 1_000_000,
    ],
    ids=["blanks", "alternatives", "commas", "digits"],
)
def test_a_requirement_of_any_length_is_judged_in_a_short_time(require: str) -> None:
    facts = _facts(DriverVersion.parse("535.183.01"), Brand.TESLA)
    with cpu_budget(10):
        result = environment_gate([f"NVIDIA_REQUIRE_CUDA={require}"], facts)
    assert result.gate is not Gate.PASSES
    assert len(result.reason) < 3000
