"""NVIDIA's devices on the PCI bus: the model of a card, before a driver is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.architectures import architecture
from gpuhost.domain.nvidia.cards import Card, card_named
from gpuhost.domain.nvidia.pci_ids import BLOCKS, MODELS
from gpuhost.domain.nvidia.version import ComputeCapability

VENDOR = "10de"
# PCI class codes: 03 display (0300 VGA, 0302 3D, 0380 other), 0680 bridge. The other functions of
# a card, audio (0403), USB (0c03) and its UCSI controller (0c80), are no cards.
DISPLAY_CLASS = "03"
BRIDGE_CLASS = "0680"
# Drivers that hold a card for virtual machines.
PASSING_DRIVERS = frozenset(
    {"vfio-pci", "nvgrace-gpu-vfio-pci", "pci-stub", "pciback", "xen-pciback"}
)
NVIDIA_DRIVER = "nvidia"


def slot_of(bus_id: str) -> str:
    """ "0000:84:00.0": the kernel's form of nvidia-smi's "00000000:84:00.0"."""
    return bus_id.lower()[-12:]


@dataclass(frozen=True)
class PciDevice:
    """One function on the PCI bus.

    + slot: such as "0000:84:00.0"
    + pci_class, vendor, device: four lower-case hexadecimal digits, such as "0302", "10de", "1b38"
    + driver: the kernel's driver that holds it, such as "nvidia" or "NovaCore"; None: none does
    + is_virtual: a virtual function (SR-IOV) of a card of this host, which a hypervisor makes for
      its machines; inside of one of these it looks like any card
    """

    slot: str
    pci_class: str
    vendor: str
    device: str
    driver: str | None = None
    is_virtual: bool = False

    @property
    def card_slot(self) -> str:
        """The slot without its function, 0000:84:00, as the driver's messages name a card."""
        return slot_of(self.slot)[:-2]

    @property
    def is_gpu(self) -> bool:
        return self.vendor == VENDOR and self.pci_class.startswith(DISPLAY_CLASS)

    @property
    def is_passed_through(self) -> bool:
        """It belongs to a virtual machine, on purpose."""
        return self.is_virtual or self.driver in PASSING_DRIVERS

    @property
    def is_nvswitch(self) -> bool:
        """An NVSwitch of the A100, H100 or H200 generation; later ones are not NVIDIA functions."""
        return self.vendor == VENDOR and self.pci_class == BRIDGE_CLASS


def _model_by_id() -> dict[str, str]:
    return {device: model for model, devices in MODELS.items() for device in devices.split()}


_MODEL_BY_ID = _model_by_id()


def card_of_device(device: str) -> Card | None:
    """The card of a PCI device id; None when the id is not certain.

    + device: four hexadecimal digits, such as "1b38" for the P40

    A card that is known only by its chip has the model "PCI 10de:1b06".
    """
    device = device.lower()
    if model := _MODEL_BY_ID.get(device):
        return card_named(model)
    for first, last, capability in BLOCKS:
        if len(device) == len(first) and first <= device <= last:
            chip = architecture(ComputeCapability.parse(capability))
            return Card(f"PCI {VENDOR}:{device}", chip) if chip else None
    return None
