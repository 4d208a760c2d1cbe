"""The driver's libraries and its loaded kernel module have different versions: why, and what helps.

A reboot helps only if it loads another module than the present one.
"""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.plans.nvidia_unfit import two_drivers
from gpuhost.snapshot import Snapshot

ONE_DRIVER = (
    "keep one: nvidia-uninstall, or apt-get purge the packages (dpkg -l '*nvidia*'); then reboot"
)
ONE_VERSION = "apt-get install --fix-broken; apt-get install {}; then reboot"
NEXT_BOOT_FIRST = "build the module for the next kernel first (see nvidia.next_boot); then reboot"


@dataclass(frozen=True)
class Mismatch:
    """reboot_helps: the next boot loads the module of the libraries."""

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
        return _of_container(snapshot)
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


def _of_container(snapshot: Snapshot) -> Mismatch:
    """LXC: the module is the host's, the libraries are the container's own."""
    module, own = snapshot.nvidia.module, snapshot.nvidia.on_disk
    version = module.version if module else ""
    return Mismatch(
        f"the host of this container has driver {version}, the libraries in here are "
        f"{own or 'of another version'}",
        f"install version {version} in here too, without kernel modules (of the installer: "
        "--no-kernel-modules), whenever the host changes it",
    )


def _two_versions(snapshot: Snapshot) -> Mismatch | None:
    """Packages of kernel modules in another version than those of the libraries."""
    nvidia = snapshot.nvidia
    versions = {name: nvidia.unpacked[name].driver for name in nvidia.module_packages}
    modules = {name: version for name, version in versions.items() if version}
    if nvidia.on_disk is None or not modules or nvidia.on_disk in modules.values():
        return None
    name, version = next(iter(modules.items()))
    return Mismatch(
        f"packages of two versions: {name} {version}, and libraries {nvidia.on_disk}",
        ONE_VERSION.format(name),
    )
