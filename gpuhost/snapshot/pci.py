"""NVIDIA's functions on the PCI bus, and the drivers that hold them."""

from __future__ import annotations

from gpuhost.domain.nvidia.pci import VENDOR, PciDevice
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

REQUEST = Request(
    probes=(
        ProbeCommand(
            "pci",
            "grep -sHE '^(DRIVER|PCI_ID|PCI_CLASS)=' /sys/bus/pci/devices/*/uevent"
            " /sys/bus/pci/devices/*/physfn/uevent",
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
    virtual = set()
    for line in probe.out.splitlines():
        path, slash, assignment = line.partition("/uevent:")
        key, equals, value = assignment.partition("=")
        if path.endswith("/physfn"):
            virtual.add(path.removesuffix("/physfn"))
        elif slash and equals:
            by_path.setdefault(path, {})[key] = value.strip()
    devices = []
    for path, values in by_path.items():
        vendor, _, device = values.get("PCI_ID", "").lower().partition(":")
        if vendor == VENDOR:
            pci_class = values.get("PCI_CLASS", "").lower().zfill(6)[:4]
            slot = path.rpartition("/")[2]
            driver = values.get("DRIVER")
            devices.append(PciDevice(slot, pci_class, vendor, device, driver, path in virtual))
    return tuple(devices)
