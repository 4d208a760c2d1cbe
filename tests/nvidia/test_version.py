"""Versions order by number, not by text."""

from __future__ import annotations

import pytest

from gpuhost.domain.nvidia.version import ComputeCapability, CudaVersion, DriverVersion


def test_driver_versions_order_by_number() -> None:
    texts = ["418.226.00", "450.80.02", "535.54.03", "535.104.05", "535.183.01", "570.26",
             "570.124.06", "580.65.06", "580.178", "580.178.04"]  # fmt: skip
    assert sorted(map(DriverVersion.parse, reversed(texts))) == [*map(DriverVersion.parse, texts)]
    assert [str(DriverVersion.parse(text)) for text in texts] == texts
    assert DriverVersion.parse("580.65.06").branch == 580


@pytest.mark.parametrize(
    "text", ["", "580", "580.", "x.1", "580.65.06.1", "５８０.65", "1.2", "-1.2"]
)
def test_an_invalid_driver_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a driver version"):
        DriverVersion.parse(text)


def test_cuda_versions_order_by_number() -> None:
    texts = ["11.8", "12.1", "12.1.1", "12.2", "12.10", "13.0"]
    assert sorted(map(CudaVersion.parse, reversed(texts))) == [*map(CudaVersion.parse, texts)]
    assert [str(CudaVersion.parse(text)) for text in texts] == texts
    assert str(CudaVersion.parse("12.2.2").release) == "12.2"


@pytest.mark.parametrize("text", ["", "12", "12.x", "12.1.1.1", "v12.1"])
def test_an_invalid_cuda_version_is_refused(text: str) -> None:
    with pytest.raises(ValueError, match="not a CUDA version"):
        CudaVersion.parse(text)


def test_compute_capabilities_order_by_number() -> None:
    texts = ["6.1", "8.9", "10.0", "12.0"]
    capabilities = [*map(ComputeCapability.parse, texts)]
    assert max(capabilities) == capabilities[-1] == ComputeCapability(12, 0)
    assert min(capabilities) == capabilities[0] == ComputeCapability(6, 1)
    with pytest.raises(ValueError, match="not a compute capability"):
        ComputeCapability.parse("[N/A]")
