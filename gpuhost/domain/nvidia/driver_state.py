"""One run of nvidia-smi classified: does the driver work, and if not, why and what to do."""

from __future__ import annotations

from dataclasses import dataclass
from enum import Enum


class DriverState(Enum):
    """The state of the driver by one run of nvidia-smi."""

    WORKING = "working"
    INFOROM_WARNING = "working, with an infoROM warning"
    ABSENT = "absent"
    MODULE_NOT_LOADED = "module not loaded"
    LIBRARY_MISMATCH = "library mismatch"
    LIBRARY_MISSING = "library missing"
    OFF_THE_BUS = "off the bus"
    NO_DEVICES = "no devices"
    NO_DEVICE_ACCESS = "no access to the devices"
    PERMISSION = "permission denied"
    POWER_CABLE = "power cable missing"
    INTERRUPT = "interrupt fault"
    QUERY_REJECTED = "query rejected"
    TIMED_OUT = "timed out"
    UNKNOWN = "unknown"

    @property
    def works(self) -> bool:
        """Whether the output of this run is valid; also with the infoROM warning."""
        return self in (DriverState.WORKING, DriverState.INFOROM_WARNING)


@dataclass(frozen=True)
class Diagnosis:
    """A state with a cause and an action, as sentences for a person.

    + evidence: the line of the output that decided; empty when the exit code did
    """

    state: DriverState
    cause: str
    action: str
    evidence: str = ""


SENTENCES: dict[DriverState, tuple[str, str]] = {
    DriverState.WORKING: ("The driver answers.", "Nothing to do."),
    DriverState.INFOROM_WARNING: (
        "The driver answers; a card's infoROM (its stored settings and error counts) is corrupt.",
        "Use the card, and ask the vendor about a replacement if its error counts matter to you.",
    ),
    DriverState.ABSENT: (
        "nvidia-smi is not installed: no NVIDIA driver is installed on this host.",
        'If the host has an NVIDIA card, install the driver (nvidia_driver = "install").',
    ),
    DriverState.MODULE_NOT_LOADED: (
        "The driver is installed, but its kernel module is not loaded: no reboot since the "
        "installation, no module for the running kernel (headers or DKMS missing), Secure Boot "
        "rejecting an unsigned module, or nouveau using the card.",
        "Reboot; if that does not help, read `dkms status`, `mokutil --sb-state`, `lsmod` for "
        "nouveau and `dmesg` for NVRM, then install the kernel's headers and rebuild the module.",
    ),
    DriverState.LIBRARY_MISMATCH: (
        "The driver's libraries were upgraded while the old kernel module stayed loaded.",
        "Reboot, or stop everything that uses the card and reload the modules; then hold the "
        "NVIDIA packages, so that automatic upgrades cannot do it again.",
    ),
    DriverState.LIBRARY_MISSING: (
        "nvidia-smi cannot find libnvidia-ml.so, the driver's management library.",
        "Install the driver's libraries again, at the version of the kernel module.",
    ),
    DriverState.OFF_THE_BUS: (
        "A card no longer answers on the PCI bus (Xid 79): power, heat, seating or a fault.",
        "Reboot (a full power cycle is surer); if it happens again, check power and cooling, "
        "reseat the card, and replace it.",
    ),
    DriverState.NO_DEVICES: (
        "The driver is loaded but drives no card: the card is too old for this driver or for the "
        "open kernel module (Pascal and Volta), its GSP firmware failed, it is a vGPU, or a VM "
        "has no card.",
        "Compare `lspci -nn -d 10de:` with what the driver supports and read `dmesg` for NVRM; "
        "Maxwell, Pascal and Volta need the proprietary module and driver branch 580 or older, a "
        "vGPU NVIDIA's GRID guest driver.",
    ),
    DriverState.NO_DEVICE_ACCESS: (
        "The driver is loaded but nvidia-smi may not use its devices: their mode, or, if this host "
        "is itself a container, the rules of its cgroup.",
        "Read `ls -l /dev/nvidia*` and `dmesg`; if this host is a container (LXC), its "
        "configuration must allow the devices.",
    ),
    DriverState.PERMISSION: (
        "This user may not use the driver, or may not run nvidia-smi.",
        "Run as root, or give the user access to /dev/nvidia*.",
    ),
    DriverState.POWER_CABLE: (
        "A card's external power cable is not attached.",
        "Power the server off and attach the card's power cables.",
    ),
    DriverState.INTERRUPT: (
        "The kernel reports an interrupt fault with a card.",
        "Read `dmesg` for NVRM and the card's PCI address, then reboot; if it stays, move the "
        "card to another slot.",
    ),
    DriverState.QUERY_REJECTED: (
        "This nvidia-smi does not know a field or an option that it was given.",
        "Query without it: compute_cap is missing before driver branch 510.",
    ),
    DriverState.TIMED_OUT: (
        "nvidia-smi did not answer in time: without persistence mode many cards take tens of "
        "seconds, and a faulty card can block it for ever.",
        "Turn persistence on (nvidia-persistenced) and read `dmesg` for NVRM and Xid; if "
        "nvidia-smi still hangs, reboot.",
    ),
    DriverState.UNKNOWN: (
        "nvidia-smi failed or printed nothing that is known.",
        "Run nvidia-smi by hand and read `dmesg` for NVRM.",
    ),
}
