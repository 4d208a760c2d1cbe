"""NVIDIA's devices on the PCI bus: the model of a card, before a driver is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.architectures import architecture
from gpuhost.domain.nvidia.cards import Card, card_named
from gpuhost.domain.nvidia.version import ComputeCapability

VENDOR = "10de"
# PCI class codes: 0300 VGA controller, 0302 3D controller, 0680 bridge.
DISPLAY_CLASSES = ("0300", "0302")
BRIDGE_CLASS = "0680"


@dataclass(frozen=True)
class PciDevice:
    """One function on the PCI bus.

    + slot: such as "0000:84:00.0"
    + pci_class, vendor, device: four lower-case hexadecimal digits, such as "0302", "10de", "1b38"
    + driver: the kernel's driver that uses it, such as "nvidia" or "nouveau"; None: none does
    """

    slot: str
    pci_class: str
    vendor: str
    device: str
    driver: str | None = None

    @property
    def is_gpu(self) -> bool:
        return self.vendor == VENDOR and self.pci_class in DISPLAY_CLASSES

    @property
    def is_nvswitch(self) -> bool:
        """An NVSwitch of the A100, H100 or H200 generation; later ones are not NVIDIA functions."""
        return self.vendor == VENDOR and self.pci_class == BRIDGE_CLASS


# The PCI ID repository (pci-ids.ucw.cz, 2026-08) for Volta and earlier; the "Compatible GPUs" table
# of NVIDIA's open-gpu-kernel-modules README (595.45.04) for Turing and later.
MODELS = {
    "K40m": "1023",
    "K40c": "1024",
    "K80": "102d",
    "M10": "13bd",
    "M60": "13f2",
    "M40": "17fd",
    "P100": "15f7 15f8 15f9",
    "P40": "1b38",
    "P4": "1bb3",
    "P6000": "1b30",
    "V100": "1db1 1db4 1db5 1db6 1db8",
    "V100S": "1df6",
    "GV100": "1dba",
    "TITAN V": "1d81",
    "T4": "1eb8",
    "TITAN RTX": "1e02",
    "RTX 2080 Ti": "1e04 1e07",
    "A100": "20b0 20b1 20b2 20b3 20b5 20f1",
    "A100X": "20b8",
    "A30": "20b7",
    "A800": "20bd 20f3 20f5 20f6",
    "AX800": "20fd",
    "RTX 3090": "2203 2204",
    "RTX 3080": "2206 220a 2216",
    "RTX A6000": "2230",
    "RTX A5000": "2231",
    "A40": "2235",
    "A10": "2236",
    "A10G": "2237",
    "A10M": "2238",
    "RTX A4000": "24b0",
    "H20": "2329 232c 230e",
    "H100": "2321 2330 2331 2339",
    "H800": "2322 2324 233a",
    "H200": "2335 233b",
    "GH200": "2342 2348",
    "RTX 4090": "2684 2685",
    "RTX 4080": "2702 2704",
    "RTX 6000 Ada": "26b1",
    "RTX 5880 Ada": "26b3",
    "L40": "26b5",
    "L40S": "26b9",
    "L20": "26ba",
    "L2": "27b6",
    "L4": "27b8",
    "B200": "2901",
    "GB200": "2941",
    "B300": "3182",
    "GB300": "31c2",
    "RTX 5090": "2b85 2b87 2b8c",
    "RTX 5080": "2c02",
    "RTX PRO 6000": "2bb1 2bb4",
    "RTX PRO 6000 Blackwell Server Edition": "2bb5",
    "RTX PRO 5000": "2bb3",
    "RTX 6000D": "2bb9",
    "GB10": "2e12",
}

# Blocks of device ids that hold one chip generation and nothing else in the PCI ID repository
# (2026-08): a card that is not named above is known by its chip. Kepler and Maxwell share blocks
# among several capabilities and are left out.
BLOCKS = (
    ("15c2", "15ff", "6.0"),
    ("1b00", "1d56", "6.1"),
    ("1d81", "1df6", "7.0"),
    ("1e02", "1ff9", "7.5"),
    ("2182", "21d1", "7.5"),
    ("2080", "20ff", "8.0"),
    ("2200", "2291", "8.6"),
    ("2414", "25fb", "8.6"),
    ("2302", "233f", "9.0"),
    ("2681", "28f8", "8.9"),
    ("2b85", "2b8c", "12.0"),
    ("2bb1", "2bbc", "12.0"),
    ("2c02", "2c19", "12.0"),
    ("2c31", "2c79", "12.0"),
    ("2d04", "2d19", "12.0"),
    ("2d30", "2ddf", "12.0"),
    ("2f04", "2f58", "12.0"),
)


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
