"""NVIDIA's devices on the PCI bus, whether or not a driver is there."""

from __future__ import annotations

from dataclasses import dataclass

from gpuhost.snapshot.probes import NotRead, Probes

VENDOR = "10DE"
# PCI classes: 0300 VGA controller, 0302 3D controller (a card without a screen).
DISPLAY_CLASSES = ("300", "302")


@dataclass(frozen=True)
class PciDevice:
    """One device. device: four hexadecimal digits, upper case; driver: of the kernel, if any."""

    slot: str
    device: str
    pci_class: str
    driver: str | None

    @property
    def is_gpu(self) -> bool:
        return self.pci_class[:-2] in DISPLAY_CLASSES


@dataclass(frozen=True)
class Nvidia:
    """Everything of NVIDIA's that one reading shows."""

    devices: tuple[PciDevice, ...]

    @property
    def gpus(self) -> tuple[PciDevice, ...]:
        return tuple(device for device in self.devices if device.is_gpu)

    @classmethod
    def read(cls, probes: Probes) -> Nvidia:
        return cls(devices=_devices(probes))


def _devices(probes: Probes) -> tuple[PciDevice, ...]:
    probe = probes.get("pci")
    if probe.rc is None:
        raise NotRead("the PCI bus: timed out")
    by_path: dict[str, dict[str, str]] = {}
    for line in probe.out.splitlines():
        path, slash, assignment = line.partition("/uevent:")
        key, equals, value = assignment.partition("=")
        if slash and equals:
            by_path.setdefault(path, {})[key] = value.strip()
    return tuple(
        PciDevice(
            slot=path.rpartition("/")[2],
            device=values["PCI_ID"].partition(":")[2].upper(),
            pci_class=values.get("PCI_CLASS", "").upper(),
            driver=values.get("DRIVER"),
        )
        for path, values in by_path.items()
        if values.get("PCI_ID", "").upper().startswith(f"{VENDOR}:")
    )
