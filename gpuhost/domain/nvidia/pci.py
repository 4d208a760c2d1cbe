"""NVIDIA's devices on the PCI bus: the model of a card, before a driver is loaded."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.domain.nvidia.architectures import architecture
from gpuhost.domain.nvidia.cards import Card, card_named
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


@dataclass(frozen=True)
class PciDevice:
    """One function on the PCI bus.

    + slot: such as "0000:84:00.0"
    + pci_class, vendor, device: four lower-case hexadecimal digits, such as "0302", "10de", "1b38"
    + driver: the kernel's driver that holds it, such as "nvidia" or "NovaCore"; None: none does
    """

    slot: str
    pci_class: str
    vendor: str
    device: str
    driver: str | None = None

    @property
    def is_gpu(self) -> bool:
        return self.vendor == VENDOR and self.pci_class.startswith(DISPLAY_CLASS)

    @property
    def is_passed_through(self) -> bool:
        """It belongs to a virtual machine, on purpose."""
        return self.driver in PASSING_DRIVERS

    @property
    def is_nvswitch(self) -> bool:
        """An NVSwitch of the A100, H100 or H200 generation; later ones are not NVIDIA functions."""
        return self.vendor == VENDOR and self.pci_class == BRIDGE_CLASS


# The PCI ID repository (pci-ids.ucw.cz, 2026-08) for Volta and earlier; the "Compatible GPUs" table
# of NVIDIA's open-gpu-kernel-modules README (595.45.04) for Turing and later.
MODELS = {
    "210": "0a23 0a65",
    "NVS 310": "107d",
    "NVS 315": "107c",
    "NVS 510": "0ffd",
    "NVS 810": "13b9",
    "GT 610": "0de7 0f03 104a",
    "GT 710": "1281 1289 128b",
    "GT 720": "1286 1288",
    "GT 730": "1287",
    "GT 1010": "1d02",
    "GT 1030": "1d01",
    "K420": "0ff3",
    "K600": "0ffa",
    "K2000": "0ffe",
    "K4000": "11fa",
    "K4200": "11b4",
    "K5000": "11ba",
    "K5200": "103c",
    "K6000": "103a",
    "K620": "13bb",
    "K1200": "13bc",
    "K2200": "13ba",
    "P400": "1cb3",
    "P600": "1cb2",
    "P620": "1cb6",
    "P1000": "1cb1",
    "K10": "118f",
    "K1": "0ff2",
    "K2": "11bf",
    "K520": "118a",
    "K20": "101f",
    "K20X": "101e 1020",
    "K20Xm": "1021",
    "K20c": "1022",
    "K20m": "1028",
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
# (2026-08; their audio functions apart): a card that is not named above is known by its chip.
BLOCKS = (
    ("0190", "019e", "1.0"),
    ("0400", "042f", "1.0"),
    ("05e0", "065f", "1.0"),
    ("06c0", "06df", "2.0"),
    ("06e0", "06ff", "1.0"),
    ("0a20", "0a7c", "1.0"),
    ("0ca0", "0cbc", "1.0"),
    ("0dc0", "0e09", "2.0"),
    ("0e22", "0f06", "2.0"),
    ("0fc0", "0fff", "3.0"),
    ("1001", "102a", "3.5"),
    ("102d", "102d", "3.7"),
    ("102e", "103f", "3.5"),
    ("1040", "109b", "2.0"),
    ("10c0", "10d8", "1.0"),
    ("1140", "1140", "2.0"),
    ("1180", "11fc", "3.0"),
    ("1200", "1251", "2.0"),
    ("1280", "12ba", "3.5"),
    ("1340", "13bd", "5.0"),
    ("13c0", "1436", "5.2"),
    ("15c2", "15ff", "6.0"),
    ("1617", "1667", "5.2"),
    ("174d", "179c", "5.0"),
    ("17c2", "17fd", "5.2"),
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
