"""The packages of a driver, and their repository."""

from __future__ import annotations

from typing import Any

import pytest

from gpuhost.domain.apt.vendor_keys import CUDA_KEYS
from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.driver_packages import (
    DriverPackages,
    distribution_packages,
    nvidia_packages,
)
from gpuhost.domain.nvidia.fabric_manager import fabric_manager_package
from gpuhost.domain.nvidia.held_packages import held
from gpuhost.domain.nvidia.kernel import Kernel, is_real_time, kernel_flavour, maker
from gpuhost.domain.nvidia.repository import System, UnknownRepositoryError, repository
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion
from tests.nvidia.fixtures import cards, table

PLANS = table("driver_packages")
KERNELS = {"debian": ("6.1.0-28-amd64", "amd64"), "ubuntu": ("6.8.0-45-generic", "generic")}


def _system(text: str) -> System:
    distribution, version = text.split()
    return System(distribution, version)


def _plan(row: dict[str, Any]) -> DriverPackages:
    system = _system(row["system"])
    plan = {"distro": distribution_packages, "nvidia": nvidia_packages}[row["source"]]
    return plan(
        system,
        cards(row["cards"]),
        Kernel(*row.get("kernel", KERNELS[system.distribution])),
        branch=row.get("wish"),
        cuda=CudaVersion.parse(row["cuda"]) if "cuda" in row else None,
        secure_boot=row.get("secure_boot", False),
    )


@pytest.mark.parametrize("row", PLANS, ids=lambda row: str(row)[:80])
def test_packages(row: dict[str, Any]) -> None:
    if "refused" in row:
        with pytest.raises(NoDriverPackagesError) as refusal:
            _plan(row)
        assert row["refused"] in str(refusal.value)
        return
    plan = _plan(row)
    assert (plan.branch, plan.flavour.name) == (row["branch"], row["flavour"])
    for key in ("packages", "headers", "components"):
        if key in row:
            assert list(getattr(plan, key)) == row[key]
    if "pin" in row:
        assert plan.pin == row["pin"]
    assert len(plan.notes) == len(row.get("notes", []))
    assert all(part in note for part, note in zip(row.get("notes", []), plan.notes, strict=True))


def test_number_of_rows() -> None:
    assert len(PLANS) == 35
    assert sum("refused" in row for row in PLANS) == 11


@pytest.mark.parametrize(
    ("system", "source", "driver", "expected"),
    [
        ("ubuntu 24.04", "distro", "580.95.05", "nvidia-fabricmanager-580"),
        ("ubuntu 24.04", "distro", "595.71.05", "nvidia-fabricmanager-595"),
        ("ubuntu 24.04", "nvidia", "570.158.01", "nvidia-fabricmanager-570"),
        ("ubuntu 24.04", "nvidia", "580.95.05", "nvidia-fabricmanager"),
        ("debian 13", "nvidia", "595.71.05", "nvidia-fabricmanager"),
    ],
)
def test_fabric_manager_package(system: str, source: str, driver: str, expected: str) -> None:
    package = fabric_manager_package(_system(system), source, DriverVersion.parse(driver))
    assert package == expected


def test_debian_has_no_fabric_manager() -> None:
    with pytest.raises(NoDriverPackagesError, match="nvidia_source"):
        fabric_manager_package(_system("debian 12"), "distro", DriverVersion.parse("535.183.01"))


BASE = "https://developer.download.nvidia.com/compute/cuda/repos"


@pytest.mark.parametrize(
    ("system", "url", "key", "fingerprint_end"),
    [
        (System("debian", "12"), "debian12/x86_64/", "3bf863cc.pub", "3BF863CC"),
        (System("debian", "13"), "debian13/x86_64/", "8793F200.pub", "8793F200"),
        (System("debian", "13", "arm64"), "debian13/sbsa/", "8793F200.pub", "8793F200"),
        (System("ubuntu", "22.04"), "ubuntu2204/x86_64/", "3bf863cc.pub", "3BF863CC"),
        (System("ubuntu", "24.04", "arm64"), "ubuntu2404/sbsa/", "3bf863cc.pub", "3BF863CC"),
        (System("ubuntu", "26.04"), "ubuntu2604/x86_64/", "60DF8A40.pub", "60DF8A40"),
    ],
)
def test_repository(system: System, url: str, key: str, fingerprint_end: str) -> None:
    archive = repository(system)
    assert archive.url == f"{BASE}/{url}"
    assert archive.key_url == f"{BASE}/{url}{key}"
    assert archive.key_fingerprint.endswith(fingerprint_end)


def test_a_mirror_is_the_same_below_its_base() -> None:
    archive = repository(System("debian", "12"), "https://mirrors.aliyun.com/nvidia-cuda/")
    assert archive.url == "https://mirrors.aliyun.com/nvidia-cuda/debian12/x86_64/"


def test_fingerprints_are_complete() -> None:
    assert len(CUDA_KEYS) == 5
    for file, fingerprint in CUDA_KEYS.values():
        assert len(fingerprint) == 40 and set(fingerprint) <= set("0123456789ABCDEF")
        assert fingerprint.endswith(file.removesuffix(".pub").upper())


@pytest.mark.parametrize("system", [System("debian", "11"), System("ubuntu", "24.04", "riscv64")])
def test_an_unknown_repository_is_refused(system: System) -> None:
    with pytest.raises(UnknownRepositoryError, match="nothing for"):
        repository(system)


def test_the_driver_is_held_and_the_container_toolkit_is_not() -> None:
    installed = [
        "nvidia-driver-cuda",
        "nvidia-container-toolkit",
        "nvidia-container-toolkit-base",
        "libnvidia-container1",
        "libnvidia-container-tools",
        "libnvidia-compute-580",
        "linux-modules-nvidia-580-server-open-generic",
        "libcuda1",
        "cuda-drivers",
        "cuda-toolkit-13-0",
        "firmware-nvidia-gsp",
        "linux-image-generic",
        "docker-ce",
    ]
    assert held(installed) == (
        "cuda-drivers",
        "firmware-nvidia-gsp",
        "libcuda1",
        "libnvidia-compute-580",
        "linux-modules-nvidia-580-server-open-generic",
        "nvidia-driver-cuda",
    )


KERNELS_BY_RELEASE = table("kernels")


@pytest.mark.parametrize("row", KERNELS_BY_RELEASE, ids=lambda row: row["release"])
def test_a_kernel_by_its_release(row: dict[str, Any]) -> None:
    release = row["release"]
    versions = row.get("installed", {})
    kernel = Kernel(release, kernel_flavour(versions, release, versions))
    assert maker(release).name == row["maker"]
    assert kernel.flavour == row.get("flavour")
    assert kernel.signed_flavour == row.get("signed")
    assert list(kernel.headers) == row["headers"]
    assert is_real_time(release) == row.get("real time", False)


@pytest.mark.parametrize(
    ("installed", "flavour"),
    [
        (["linux-image-amd64", "linux-image-6.1.0-28-amd64"], "amd64"),
        (["linux-image-cloud-amd64", "linux-image-6.12.9+deb13-cloud-amd64"], "cloud-amd64"),
        (["linux-image-generic", "linux-image-generic-hwe-24.04"], "generic-hwe-24.04"),
        (["linux-image-unsigned-6.8.0-45-generic", "linux-image-aws"], "aws"),
        (["linux-image-6.8.0-45-generic", "bash"], None),
    ],
)
def test_flavour_of_the_kernel(installed: list[str], flavour: str | None) -> None:
    assert kernel_flavour(installed) == flavour
