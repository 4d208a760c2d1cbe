"""Debian's real driver packages, built by the real DKMS, on hosts whose card is simulated.

Nothing drives a card here: nvidia-smi cannot reach a driver, and CUDA answers 100, "no device".
A build takes minutes, so the tests of one host follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.e2e.commands import check, deploy
from tests.lab import compiled
from tests.lab.driven import INSTALLING, MODULE, Driven
from tests.lab.lab import HostSpec, Lab

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

# What cuDriverGetVersion answers.
CUDA_OF = {"trixie": 12040, "bookworm": 12020}
# Debian's open modules as of 2026-11, for cards that need them: 550.163.01-2 does not
# compile for Debian 13's kernels (github.com/NVIDIA/open-gpu-kernel-modules/issues/1272), and
# 535.261.03-1 wants older firmware than Debian 12's security archive has.
BROKEN_OPEN = {
    "trixie": "Bad return status for module build",
    "bookworm": "nvidia-open-kernel-dkms : Depends: firmware-nvidia-gsp",
}
STEPS = {
    "Archive components of the NVIDIA driver",
    "NVIDIA driver",
    "NVIDIA packages on hold",
    "NVIDIA persistence mode",
}
# All that is wrong on a host whose card is only simulated: nvidia-smi reaches no driver.
NO_CARD = {"nvidia.driver": "fail"}
NO_MODULE = {**NO_CARD, "nvidia.next_boot": "fail"}
# cuInit and cuDriverGetVersion of the driver's own library.
CUDA = """import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
version = ctypes.c_int()
print(cuda.cuInit(0), cuda.cuDriverGetVersion(ctypes.byref(version)), version.value)"""
OTHER_KERNEL = "linux-image-cloud-amd64"
ITS_HEADERS = "linux-headers-cloud-amd64"


@pytest.fixture(scope="module", params=CUDA_OF)
def driven(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Driven]:
    (host,) = lab.boot(HostSpec("real", request.param, card="undriven-console"))
    driven = Driven(host)
    try:
        driven.prepare()
        run = driven.provision()
        assert (run.status, run.failed) == (0, {}), run.stderr
        assert set(run.changed) == STEPS
        yield driven
        compiled.keep(host)
    finally:
        lab.remove(host.name)


@pytest.fixture(scope="module")
def first(driven: Driven) -> str:
    """The kernel for which the driver was installed."""
    (kernel,) = driven.kernels()
    return kernel


@pytest.fixture(scope="module")
def other(driven: Driven, first: str) -> str:
    """A kernel that somebody installed later, without its headers."""
    driven.install(OTHER_KERNEL)
    (kernel,) = driven.kernels() - {first}
    return kernel


def test_the_driver_is_installed_built_and_held(driven: Driven, first: str) -> None:
    host = driven.host
    version = host.run("dpkg-query -W -f '${Version}' libcuda1").stdout.partition("-")[0]
    assert driven.module_version(first) == version
    held = set(host.run("apt-mark showhold").stdout.split())
    assert {"nvidia-kernel-dkms", "libcuda1", "nvidia-smi", "firmware-nvidia-gsp"} <= held
    assert "blacklist nova_core" in host.run("cat /etc/modprobe.d/gpuhost-nouveau.conf").stdout
    assert driven.problems() == NO_CARD
    smi = host.run("nvidia-smi", check=False)
    assert (smi.status, "couldn't communicate with the NVIDIA driver" in smi.stdout) == (9, True)
    assert first in check(host, **INSTALLING).findings["nvidia.next_boot"]["actual"]


def test_cuda_answers_no_device_and_a_missing_library_is_another_answer(driven: Driven) -> None:
    host = driven.host
    assert host.run(f"python3 -c '{CUDA}'").stdout == f"100 0 {CUDA_OF[host.state.release]}\n"
    library = host.run("readlink -f /usr/lib/x86_64-linux-gnu/libcuda.so.1").stdout.strip()
    host.run(f"mv {library} {library}.away")
    try:
        broken = host.run(f"python3 -c '{CUDA}'", check=False)
        assert broken.status == 1 and "libcuda.so.1" in broken.stderr
    finally:
        host.run(f"mv {library}.away {library}")


def test_a_second_run_changes_nothing(driven: Driven) -> None:
    run = driven.provision()
    assert (run.status, run.changed, run.failed) == (0, {}, {}), run.stderr


def test_missing_headers_and_a_failed_build_are_found_and_repaired(
    driven: Driven, first: str, other: str
) -> None:
    assert driven.problems() == NO_MODULE
    with compiled.broken_compiler(driven.host):
        run = driven.provision()
        assert set(run.failed) == {"NVIDIA driver"}
        assert driven.module_version(other) == ""
        assert driven.problems() == NO_MODULE
        evidence = check(driven.host, **INSTALLING).findings["nvidia.next_boot"]["evidence"]
        assert evidence.startswith("its last build failed: ")
    run = driven.provision()
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert driven.module_version(other) == driven.module_version(first)
    assert driven.problems() == NO_CARD
    assert driven.host.run("dpkg --audit").stdout == ""
    # The next upgrade of this kernel has headers too.
    driven.host.run(f"dpkg-query -s {ITS_HEADERS}")
    assert driven.provision().changed == {}


def test_a_module_that_was_removed_is_installed_again(driven: Driven, other: str) -> None:
    modules = f"/lib/modules/{other}/updates/dkms/{MODULE}"
    driven.host.run(f"rm {modules}.ko* && depmod {other}")
    # As an older driver leaves it that was removed by hand.
    old = "/var/lib/dkms/nvidia/470.1"
    driven.host.run(f"mkdir -p {old} && ln -s /usr/src/nvidia-470.1 {old}/source")
    assert driven.problems() == NO_MODULE
    run = driven.provision()
    assert (run.status, run.failed, set(run.changed)) == (0, {}, {"NVIDIA driver"}), run.stderr
    assert driven.module_version(other)
    assert driven.problems() == NO_CARD
    driven.host.run("rm -r /var/lib/dkms/nvidia")


def test_a_kernel_upgrade_builds_its_module(driven: Driven, first: str, other: str) -> None:
    """As an upgrade of the metapackages brings a kernel: the image and its headers together."""
    names = (f"linux-image-{other}", f"linux-headers-{other}", OTHER_KERNEL, ITS_HEADERS)
    driven.purge(*names)
    assert driven.module_version(other) == ""
    driven.install(OTHER_KERNEL, ITS_HEADERS)
    assert driven.module_version(other) == driven.module_version(first)
    assert driven.problems() == NO_CARD


def test_a_real_time_kernel_is_refused_with_words(driven: Driven) -> None:
    before = driven.kernels()
    driven.install("linux-image-rt-amd64")
    (real_time,) = driven.kernels() - before
    assert driven.problems() == NO_MODULE
    run = driven.provision()
    assert run.changed == {}
    assert f"kernel {real_time} has no NVIDIA module, and it is a real-time kernel" in run.stderr
    driven.purge("linux-image-rt-amd64", f"linux-image-{real_time}")


def test_the_driver_is_removed(driven: Driven, first: str) -> None:
    host = driven.host
    run = deploy(host, deploy="tests/e2e/nvidia_removed.py")
    assert (run.status, run.failed) == (0, {}), run.stderr
    assert host.run("apt-mark showhold").stdout == ""
    driven.purge("'nvidia-*'", "'libnvidia-*'", "libcuda1", "libnvcuvid1", "firmware-nvidia-gsp")
    assert driven.module_version(first) == ""
    assert check(host).findings["nvidia.driver"]["actual"].startswith("absent")


@pytest.mark.parametrize("release", BROKEN_OPEN)
def test_open_modules_that_debian_broke_fail_with_words(lab: Lab, release: str) -> None:
    (host,) = lab.boot(HostSpec("open", release, card="undriven-gh200"))
    driven = Driven(host)
    driven.prepare()
    run = driven.provision()
    assert set(run.failed) == {"NVIDIA driver"}, "they install now: test them as the others"
    assert BROKEN_OPEN[release] in run.stderr
    assert driven.problems()["nvidia.driver"] == "fail"
    compiled.keep(host)
    lab.remove(host.name)
