"""NVIDIA's Fabric Manager: which hosts need it, and its package."""

from __future__ import annotations

from collections.abc import Iterable
from enum import Enum

from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.repository import System
from gpuhost.domain.nvidia.version import DriverVersion

FABRIC_UNSUFFIXED_SINCE = 580


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


class FabricManager(Enum):
    """Whether the host's cards need NVIDIA's Fabric Manager before CUDA can start on them."""

    NEEDED = "needed"
    NOT_NEEDED = "not needed"
    UNDECIDED = "depends on the baseboard"


def fabric_manager(devices: Iterable[PciDevice]) -> FabricManager:
    """Whether the devices on the bus need Fabric Manager.

    NVSwitches up to the H200's generation are bridges of NVIDIA's on the PCI bus (NVIDIA Fabric
    Manager user guide). Those of HGX B200 and B300 are reached through network adapters, so several
    such cards leave it undecided; GB200 and GB300 keep theirs in the rack's switch trays.
    """
    devices = tuple(devices)
    if any(device.is_nvswitch for device in devices):
        return FabricManager.NEEDED
    cards = [card_of_device(device.device) for device in devices if device.is_gpu]
    on_baseboard = [card for card in cards if card and card.model in {"B200", "B300"}]
    return FabricManager.UNDECIDED if len(on_baseboard) > 1 else FabricManager.NOT_NEEDED
