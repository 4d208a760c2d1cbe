"""Which packages install a driver: from the distribution, or from NVIDIA's own repository.

Servers get the compute part: no X server, no desktop.
"""

from __future__ import annotations

import fnmatch
import re
from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from enum import Enum

from gpuhost.domain.nvidia.architectures import Modules
from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.cuda import branches, recommended_branch
from gpuhost.domain.nvidia.repository import System
from gpuhost.domain.nvidia.toolkits import BRANCH_CUDA, RECOMMENDED_BRANCHES
from gpuhost.domain.nvidia.version import CudaVersion, DriverVersion

# NVIDIA recommends the open modules, where they are a choice, since R560.
OPEN_SINCE = 560
# NVIDIA's repository for Ubuntu dropped the branch from its package names.
UNSUFFIXED_SINCE = 590
FABRIC_UNSUFFIXED_SINCE = 580

# Debian's package tracker, 2026: one branch a release.
DEBIAN_BRANCH = {"12": 535, "13": 550}
# Ubuntu's package pages, 2026: server branches that are no transitional packages.
UBUNTU_BRANCHES = {
    "22.04": (470, 535, 580, 595),
    "24.04": (470, 535, 580, 595),
    "26.04": (580, 595),
}
# NVIDIA's repository: branches before 580 have no pinning package; 26.04 began with 590.
NVIDIA_FIRST_BRANCH = {"debian12": 580, "debian13": 580, "ubuntu2204": 580, "ubuntu2404": 580}
NVIDIA_FIRST_BRANCH_ELSEWHERE = 590

# What an automatic upgrade must not touch under running containers. Globs over package names.
HELD = (
    "nvidia-*",
    "libnvidia-*",
    "linux-modules-nvidia-*",
    "linux-objects-nvidia-*",
    "linux-signatures-nvidia-*",
    "firmware-nvidia-*",
    "xserver-xorg-video-nvidia*",
    "cuda-drivers*",
    "cuda-compat-*",
    "libcuda1*",
    "libcudadebugger1",
    "libnvcuvid1",
    "libnvsdm*",
    "libxnvctrl*",
    "nvlsm",
)
# The container toolkit has its own settings, and its versions must move together.
NOT_HELD = ("nvidia-container-*", "libnvidia-container*", "nvidia-docker*")


class Flavour(Enum):
    """The kernel modules to install."""

    PROPRIETARY = "proprietary"
    OPEN = "open"


class NoDriverPackagesError(ValueError):
    """No packages can drive these cards; the text is a sentence for a person."""


@dataclass(frozen=True)
class Kernel:
    """A kernel of the host.

    + release: `uname -r`, such as "6.8.0-45-generic"
    + flavour: that of its metapackage, such as "generic", "generic-hwe-24.04", "cloud-amd64";
      None: installed without one
    """

    release: str
    flavour: str | None

    @property
    def headers(self) -> tuple[str, ...]:
        """The headers of this kernel and, through the metapackage, of every later one."""
        meta = (f"linux-headers-{self.flavour}",) if self.flavour else ()
        return (f"linux-headers-{self.release}", *meta)


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


def module_flavour(cards: Sequence[Card], branch: int) -> Flavour:
    """The kernel modules for these cards.

    Maxwell, Pascal and Volta take the proprietary ones, Blackwell and Grace Hopper the open ones;
    between them either works, and NVIDIA recommends the open ones since R560 (technical blog,
    "Transitions fully towards open-source GPU kernel modules").

    Raises NoDriverPackagesError, naming both cards, when one needs what the other refuses.
    """
    _refuse_conflict(cards)
    modules = {card.modules for card in cards}
    if Modules.PROPRIETARY in modules:
        return Flavour.PROPRIETARY
    return Flavour.OPEN if Modules.OPEN in modules or branch >= OPEN_SINCE else Flavour.PROPRIETARY


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
    chosen = _choose(cards, offered, branch, cuda, f"{system}'s archive")
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
    chosen = _choose(cards, offered, branch, cuda, f"NVIDIA's repository for {system}")
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


def fabric_manager_package(system: System, source: str, driver: DriverVersion) -> str:
    """The Fabric Manager package for a driver; its version must be the driver's to the last digit.

    + source: "distro" or "nvidia"

    Ubuntu's archive names it by branch, for its server drivers; NVIDIA's repository did so before
    580. Raises NoDriverPackagesError for Debian's archive, which has none.
    """
    if source == "distro":
        if system.distribution == "debian":
            raise NoDriverPackagesError(
                f"{system} has no Fabric Manager; take the driver from NVIDIA's repository "
                '(nvidia_source = "nvidia")'
            )
        return f"nvidia-fabricmanager-{driver.branch}"
    if driver.branch >= FABRIC_UNSUFFIXED_SINCE:
        return "nvidia-fabricmanager"
    return f"nvidia-fabricmanager-{driver.branch}"


def held(packages: Iterable[str]) -> tuple[str, ...]:
    """Those of the installed packages that must stay at their version, sorted."""
    return tuple(
        sorted(name for name in packages if _matches(name, HELD) and not _matches(name, NOT_HELD))
    )


def kernel_flavour(packages: Iterable[str]) -> str | None:
    """The flavour of the installed kernel metapackage, from the names of installed packages.

    **Example:** ``kernel_flavour(["linux-image-generic-hwe-24.04"])`` is "generic-hwe-24.04".

    Of several, the one with the longest name: an HWE or cloud kernel was chosen on purpose.
    """
    names = (re.fullmatch(r"linux-image-((?!\d)[a-z0-9.\-]+)", name) for name in packages)
    flavours = {
        name[1] for name in names if name and "unsigned" not in name[1] and "dbg" not in name[1]
    }
    return max(sorted(flavours), key=len, default=None)


def _refuse_conflict(cards: Sequence[Card]) -> None:
    if conflict := module_conflict(cards):
        closed, opened = conflict
        raise NoDriverPackagesError(
            f"no driver serves both cards: the {closed} works with the proprietary kernel modules "
            f"only, the {opened} with the open ones only; put them into different hosts"
        )


def _choose(
    cards: Sequence[Card],
    offered: Sequence[int],
    branch: int | None,
    cuda: CudaVersion | None,
    where: str,
) -> int:
    _refuse_conflict(cards)
    names = ", ".join(sorted({str(card) for card in cards}))
    fitting = [each for each in offered if each in branches(cards)]
    if branch is not None:
        if branch in fitting:
            return branch
        why = "has no such branch" if branch not in offered else f"that does not drive {names}"
        raise NoDriverPackagesError(
            f"{where}: driver branch {branch} was asked for; {why} (it has "
            f"{_listed(offered)}, of which {_listed(fitting)} drive these cards)"
        )
    best = recommended_branch(cards, cuda)
    preferred = [best] if best else []
    for each in [*preferred, *RECOMMENDED_BRANCHES, *sorted(fitting, reverse=True)]:
        if each in fitting:
            return each
    raise NoDriverPackagesError(
        f"{where} has no driver that drives {names} (it has branches {_listed(offered)})"
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
    signed = secure_boot and kernel.flavour is not None
    kernel_package = (
        f"linux-modules-nvidia-{modules}-{kernel.flavour}" if signed else f"nvidia-dkms-{modules}"
    )
    notes = _unsigned_note(secure_boot and not signed)
    if signed:
        notes = (
            "Canonical signs these modules for one kernel at a time: while they are held, hold "
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


def _listed(numbers: Sequence[int]) -> str:
    return ", ".join(str(number) for number in numbers) or "none"


def _matches(name: str, patterns: Sequence[str]) -> bool:
    return any(fnmatch.fnmatchcase(name, pattern) for pattern in patterns)
