"""The driver's libraries and its loaded kernel module have different versions: why, and what helps.

A reboot helps only if it loads another module than the present one.
"""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.domain.nvidia.version import DriverVersion
from gpuhost.plans.nvidia_unfit import two_drivers
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia_packages import library_packages

ONE_DRIVER = (
    "keep one: nvidia-uninstall, or apt-get purge the packages (dpkg -l '*nvidia*'); then reboot"
)
ONE_VERSION = (
    "bring them to one version (apt-get install --fix-broken; apt-cache policy {}), then reboot"
)
STRAY = "ldconfig -p | grep libnvidia-ml: remove the copy that dpkg -S does not know; ldconfig"
READY_MADE = re.compile(r"linux-(?:modules|objects)-nvidia-(\d{3})", re.ASCII)
NEXT_BOOT_FIRST = "build the module for the next kernel first (see nvidia.next_boot); then reboot"


@dataclass(frozen=True)
class Mismatch:
    """reboot_helps: the next boot may load the module of the libraries."""

    cause: str
    fix: str
    reboot_helps: bool = False


def mismatch(snapshot: Snapshot) -> Mismatch:
    """What is known of a driver in the state LIBRARY_MISMATCH."""
    cause, action = SENTENCES[DriverState.LIBRARY_MISMATCH]
    nvidia, kernels = snapshot.nvidia, snapshot.kernels
    if nvidia.module is None:
        return Mismatch(cause, action, reboot_helps=True)
    if snapshot.system.container.startswith("lxc"):
        return _of_container(nvidia.module.version, nvidia.on_disk)
    if reason := two_drivers(snapshot):
        return Mismatch(reason, ONE_DRIVER)
    if found := _two_versions(snapshot):
        return found
    loaded = f"module {nvidia.module.version} is loaded"
    if nvidia.on_disk is None:
        return Mismatch(
            f"{loaded}, and the libraries are of another version; neither comes from packages",
            "reboot; if it stays, module and libraries come from two installers: run one of them "
            "again, for both",
            reboot_helps=True,
        )
    without = {kernels.next} if kernels.next else set(kernels.installed)
    return Mismatch(
        f"{loaded}, the libraries are {nvidia.on_disk}. {cause}",
        NEXT_BOOT_FIRST if without - kernels.nvidia.keys() else action,
        reboot_helps=True,
    )


def _of_container(module: DriverVersion, libraries: DriverVersion | None) -> Mismatch:
    """LXC: the module is the host's, the libraries are the container's own."""
    return Mismatch(
        f"the host of this container has driver {module}, the libraries in here are "
        f"{libraries or 'of another version'}",
        f"install version {module} in here too, without kernel modules (of the installer: "
        "--no-kernel-modules), whenever the host changes it",
    )


def _two_versions(snapshot: Snapshot) -> Mismatch | None:
    """Packages of several versions, or a library of none; None: neither is the case."""
    nvidia = snapshot.nvidia
    if nvidia.on_disk is None or nvidia.module is None:
        return None
    versions = {name: nvidia.unpacked[name].driver for name in nvidia.module_packages}
    modules = {name: version for name, version in versions.items() if version}
    if not modules:
        return _two_branches(nvidia.module_packages, nvidia.on_disk)
    if nvidia.on_disk in modules.values() and nvidia.module.version not in modules.values():
        return None
    name, version = next(iter(modules.items()))
    libraries = library_packages(nvidia.packages)
    other = next((one for one in libraries if one.driver != version), None)
    if other is None:
        return Mismatch(
            f"module and packages have version {version}, and libnvidia-ml.so.1 another one",
            STRAY,
        )
    return Mismatch(
        f"packages of two versions: {name} {version}, and {other.name} {other.driver}",
        ONE_VERSION.format(f"{name} {other.name}"),
    )


def _two_branches(modules: Iterable[str], libraries: DriverVersion) -> Mismatch | None:
    """Ubuntu's ready-made modules, whose names have the branch and whose versions are kernels'."""
    found = {name: int(match[1]) for name in modules if (match := READY_MADE.match(name))}
    if not found or libraries.branch in found.values():
        return None
    name = next(iter(found))
    return Mismatch(
        f"packages of two branches: {name}, and libraries {libraries}", ONE_VERSION.format(name)
    )
