"""Which packages install a driver: from the distribution, or from NVIDIA's own repository.

Servers get the compute part: no X server, no desktop.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from gpuhost.domain.nvidia.cards import Card
from gpuhost.domain.nvidia.driver_choice import (
    DEBIAN_BRANCH,
    NVIDIA_FIRST_BRANCH,
    NVIDIA_FIRST_BRANCH_ELSEWHERE,
    UBUNTU_BRANCHES,
    Flavour,
    choose_branch,
    module_flavour,
)
from gpuhost.domain.nvidia.kernel import Kernel
from gpuhost.domain.nvidia.repository import System
from gpuhost.domain.nvidia.toolkits import BRANCH_CUDA
from gpuhost.domain.nvidia.version import CudaVersion

# NVIDIA's repository for Ubuntu dropped the branch from its package names.
UNSUFFIXED_SINCE = 590


@dataclass(frozen=True)
class DriverPackages:
    """What to install.

    + branch: the driver branch
    + flavour: the kernel modules
    + pin: installed before the rest: it keeps NVIDIA's repository at this branch
    + packages: the driver
    + headers: the kernel's headers; empty when the modules come ready-made
    + components: the archive components that must be enabled
    + notes: what else to know, a sentence each
    """

    branch: int
    flavour: Flavour
    pin: str | None
    packages: tuple[str, ...]
    headers: tuple[str, ...]
    components: tuple[str, ...]
    notes: tuple[str, ...] = ()


def distribution_packages(
    system: System,
    cards: Sequence[Card],
    kernel: Kernel,
    *,
    branch: int | None = None,
    cuda: CudaVersion | None = None,
    secure_boot: bool = False,
) -> DriverPackages:
    """The driver from Debian's or Ubuntu's own archive.

    + branch: None: the best that the archive has for the cards
    + cuda: the CUDA that containers use; None: any
    + secure_boot: whether the firmware refuses unsigned modules; Ubuntu has signed ones

    Raises NoDriverPackagesError when the archive has no driver for the cards.
    """
    if system.distribution == "debian":
        only = DEBIAN_BRANCH.get(system.version)
        offered: tuple[int, ...] = (only,) if only else ()
    else:
        offered = UBUNTU_BRANCHES.get(system.version, ())
    chosen = choose_branch(cards, offered, branch, cuda, f"{system}'s archive")
    flavour = module_flavour(cards, chosen)
    if system.distribution == "debian":
        return _debian(chosen, flavour, kernel, secure_boot)
    return _ubuntu(chosen, flavour, kernel, secure_boot)


def nvidia_packages(
    system: System,
    cards: Sequence[Card],
    kernel: Kernel,
    *,
    branch: int | None = None,
    cuda: CudaVersion | None = None,
    secure_boot: bool = False,
) -> DriverPackages:
    """The driver from NVIDIA's repository, pinned to one branch. Arguments and errors as above.

    NVIDIA driver installation guide, "Debian" and "Ubuntu": "Compute-only", "Version locking" and,
    for the names without a branch since 590, "Recent updates".
    """
    first = NVIDIA_FIRST_BRANCH.get(system.repository_name, NVIDIA_FIRST_BRANCH_ELSEWHERE)
    offered = tuple(each for each in BRANCH_CUDA if each >= first)
    chosen = choose_branch(cards, offered, branch, cuda, f"NVIDIA's repository for {system}")
    flavour = module_flavour(cards, chosen)
    if system.distribution == "debian":
        dkms = "nvidia-kernel-open-dkms" if flavour is Flavour.OPEN else "nvidia-kernel-dkms"
        packages: tuple[str, ...] = ("nvidia-driver-cuda", dkms)
        components: tuple[str, ...] = ("contrib",)
    else:
        suffix = "" if chosen >= UNSUFFIXED_SINCE else f"-{chosen}"
        modules = "-open" if flavour is Flavour.OPEN else ""
        packages = (f"libnvidia-compute{suffix}", f"nvidia-dkms{suffix}{modules}")
        components = ()
    return DriverPackages(
        chosen,
        flavour,
        f"nvidia-driver-pinning-{chosen}",
        packages,
        kernel.headers,
        components,
        _unsigned_note(secure_boot),
    )


def _debian(branch: int, flavour: Flavour, kernel: Kernel, secure_boot: bool) -> DriverPackages:
    # Debian's package pages: nvidia-kernel-dkms recommends nvidia-driver or libcuda1 alone; the
    # open modules are in contrib, the firmware in non-free-firmware, the rest in non-free.
    dkms = "nvidia-open-kernel-dkms" if flavour is Flavour.OPEN else "nvidia-kernel-dkms"
    return DriverPackages(
        branch,
        flavour,
        None,
        (
            dkms,
            "firmware-nvidia-gsp",
            "libcuda1",
            "libnvcuvid1",
            "libnvidia-encode1",
            "libnvidia-ml1",
            "nvidia-modprobe",
            "nvidia-persistenced",
            "nvidia-smi",
        ),
        kernel.headers,
        ("contrib", "non-free", "non-free-firmware"),
        _unsigned_note(secure_boot),
    )


def _ubuntu(branch: int, flavour: Flavour, kernel: Kernel, secure_boot: bool) -> DriverPackages:
    # Ubuntu server guide, "NVIDIA drivers installation". Ready-made modules are signed, but come
    # with each kernel; DKMS follows the kernel even while the driver is held.
    server = f"{branch}-server"
    modules = f"{server}-open" if flavour is Flavour.OPEN else server
    signed = secure_boot and kernel.signed_flavour is not None
    kernel_package = (
        f"linux-modules-nvidia-{modules}-{kernel.signed_flavour}"
        if signed
        else f"nvidia-dkms-{modules}"
    )
    notes = _unsigned_note(secure_boot and not signed)
    if signed:
        notes = (
            "Canonical signs these modules for one kernel at a time: while they are on hold, hold "
            "the kernel's metapackages too, or the next kernel boots without a driver.",
        )
    return DriverPackages(
        branch,
        flavour,
        None,
        (
            kernel_package,
            f"nvidia-headless-no-dkms-{modules}",
            f"nvidia-utils-{server}",
            f"libnvidia-decode-{server}",
            f"libnvidia-encode-{server}",
        ),
        () if signed else kernel.headers,
        ("restricted", "multiverse"),
        notes,
    )


def _unsigned_note(secure_boot: bool) -> tuple[str, ...]:
    if not secure_boot:
        return ()
    return (
        "Secure Boot is on: enrol DKMS's key (`mokutil --import /var/lib/dkms/mok.pub`, confirmed "
        "at the console at the next boot), or the modules are refused.",
    )
