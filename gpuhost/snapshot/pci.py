"""NVIDIA's functions on the PCI bus, and the drivers that hold them."""

from __future__ import annotations

from gpuhost.domain.nvidia.pci import VENDOR, PciDevice
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

REQUEST = Request(
    probes=(
        ProbeCommand(
            "pci",
            "grep -sHE '^(DRIVER|PCI_ID|PCI_CLASS)=' /sys/bus/pci/devices/*/uevent",
            at_once=True,
        ),
    )
)


def read_devices(probes: Probes) -> tuple[PciDevice, ...]:
    """Raises NotRead."""
    probe = probes.get("pci")
    if probe.rc is None:
        raise NotRead("reading the PCI bus timed out")
    by_path: dict[str, dict[str, str]] = {}
    for line in probe.out.splitlines():
        path, slash, assignment = line.partition("/uevent:")
        key, equals, value = assignment.partition("=")
        if slash and equals:
            by_path.setdefault(path, {})[key] = value.strip()
    devices = []
    for path, values in by_path.items():
        vendor, _, device = values.get("PCI_ID", "").lower().partition(":")
        if vendor == VENDOR:
            pci_class = values.get("PCI_CLASS", "").lower().zfill(6)[:4]
            slot = path.rpartition("/")[2]
            devices.append(PciDevice(slot, pci_class, vendor, device, values.get("DRIVER")))
    return tuple(devices)
