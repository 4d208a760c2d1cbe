"""Debian's real driver packages, built by the real DKMS, on hosts whose card is simulated.

Nothing drives a card here: nvidia-smi cannot reach a driver, and CUDA answers 100, "no device".
A build takes minutes, so the tests of one host follow each other.
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import pytest

from tests.e2e.commands import Run, check, deploy
from tests.lab.hosts import LabHost
from tests.lab.lab import HostSpec, Lab

pytestmark = [pytest.mark.lab, pytest.mark.matrix]

BUILD_SECONDS = 2400
INSTALLING = {"nvidia_driver": "install"}
STEPS = {
    "Archive components of the NVIDIA driver",
    "NVIDIA driver",
    "NVIDIA packages on hold",
    "NVIDIA persistence mode",
}
# cuInit and cuDriverGetVersion of the driver's own library.
CUDA = """import ctypes
cuda = ctypes.CDLL("libcuda.so.1")
version = ctypes.c_int()
print(cuda.cuInit(0), cuda.cuDriverGetVersion(ctypes.byref(version)), version.value)"""


# Debian's nvidia-legacy-check asks lspci for old cards. The simulated bus has no configuration
# space, which the real one wants to read.
LSPCI = b"""#!/bin/sh
cd /sys/bus/pci/devices || exit 1
for slot in *; do
    read -r class <"$slot/class"; read -r vendor <"$slot/vendor"; read -r device <"$slot/device"
    short=$(echo "$class" | cut -c3-6)
    echo "${slot#0000:} \\"$short\\" \\"${vendor#0x}\\" \\"${device#0x}\\""
done
"""


@dataclass(frozen=True)
class Variant:
    """A release and the modules that its card needs.

    + dkms: the package with the modules, and their name
    + cuda: what cuDriverGetVersion answers
    """

    release: str
    card: str
    dkms: str
    module: str
    cuda: int

    def __str__(self) -> str:
        return f"{self.release}-{self.module}"


VARIANTS = [
    Variant("trixie", "undriven-console", "nvidia-kernel-dkms", "nvidia-current", 12040),
    Variant("trixie", "undriven-gh200", "nvidia-open-kernel-dkms", "nvidia-current-open", 12040),
    Variant("bookworm", "undriven-console", "nvidia-kernel-dkms", "nvidia-current", 12020),
    Variant("bookworm", "undriven-gh200", "nvidia-open-kernel-dkms", "nvidia-current-open", 12020),
]


@dataclass(frozen=True)
class Driven:
    """A host with the driver. kernel: the first one that was installed."""

    host: LabHost
    variant: Variant
    kernel: str


def provision(host: LabHost, **settings: Any) -> Run:
    """The deploy, with patience for a build."""
    alone = "tests/e2e/nvidia_alone.py"
    return deploy(host, deploy=alone, seconds=BUILD_SECONDS, **{**INSTALLING, **settings})


def problems(host: LabHost) -> dict[str, str]:
    statuses = check(host, **INSTALLING).status
    return {
        id: status
        for id, status in statuses.items()
        if id.startswith("nvidia.") and status not in ("ok", "skip")
    }


def install(host: LabHost, *packages: str) -> None:
    host.run(
        f"DEBIAN_FRONTEND=noninteractive apt-get -q -y install --no-install-recommends "
        f"{' '.join(packages)}",
        timeout=BUILD_SECONDS,
    )


def kernels(host: LabHost) -> set[str]:
    return set(host.run("ls /boot | sed -n s/^vmlinuz-//p").stdout.split())


def version_of_module(driven: Driven, kernel: str) -> str:
    command = f"modinfo -k {kernel} -F version {driven.variant.module}"
    return driven.host.run(command, check=False).stdout.strip()


@pytest.fixture(scope="module", params=VARIANTS, ids=str)
def driven(lab: Lab, request: pytest.FixtureRequest) -> Iterator[Driven]:
    variant: Variant = request.param
    (host,) = lab.boot(HostSpec("real", variant.release, card=variant.card))
    try:
        host.run("apt-get -q update")
        # What a server has: a kernel, and GRUB's setting of what boots.
        install(host, "linux-image-amd64", "python3")
        host.put("/etc/default/grub", b"GRUB_DEFAULT=0\n")
        host.run("dpkg-divert --local --divert /usr/bin/lspci.real --add /usr/bin/lspci")
        host.put("/usr/bin/lspci", LSPCI, mode=0o755)
        run = provision(host)
        assert (run.status, run.failed) == (0, {}), run.stderr
        assert set(run.changed) == STEPS
        (kernel,) = kernels(host)
        yield Driven(host, variant, kernel)
    finally:
        lab.remove(host.name)


def test_the_driver_is_installed_built_and_held(driven: Driven) -> None:
    host, variant = driven.host, driven.variant
    version = host.run("dpkg-query -W -f '${Version}' libcuda1").stdout.partition("-")[0]
    assert version_of_module(driven, driven.kernel) == version
    held = set(host.run("apt-mark showhold").stdout.split())
    assert {variant.dkms, "libcuda1", "nvidia-smi", "firmware-nvidia-gsp"} <= held
    assert "blacklist nova_core" in host.run("cat /etc/modprobe.d/gpuhost-nouveau.conf").stdout
    # The card is only simulated: what nvidia-smi really says without one.
    assert problems(host) == {"nvidia.driver": "fail"}
    smi = host.run("nvidia-smi", check=False)
    assert (smi.status, "couldn't communicate with the NVIDIA driver" in smi.stdout) == (9, True)
    verdicts = check(host, **INSTALLING)
    assert driven.kernel in verdicts.findings["nvidia.next_boot"]["actual"]


def test_cuda_answers_no_device_and_a_missing_library_is_another_answer(driven: Driven) -> None:
    host = driven.host
    assert host.run(f"python3 -c '{CUDA}'").stdout == f"100 0 {driven.variant.cuda}\n"
    library = host.run("readlink -f /usr/lib/x86_64-linux-gnu/libcuda.so.1").stdout.strip()
    host.run(f"mv {library} {library}.away")
    try:
        broken = host.run(f"python3 -c '{CUDA}'", check=False)
        assert broken.status == 1 and "libcuda.so.1" in broken.stderr
    finally:
        host.run(f"mv {library}.away {library}")


def test_a_second_run_changes_nothing(driven: Driven) -> None:
    run = provision(driven.host)
    assert (run.status, run.changed, run.failed) == (0, {}, {}), run.stderr
