"""One run of nvidia-smi classified: does the driver work, and if not, why and what to do."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import Enum

from gpuhost.domain.nvidia.smi import clean, parse_header, parse_query


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
        "open kernel module (Pascal and Volta), its GSP firmware failed, or a virtual machine has "
        "no card.",
        "Compare `lspci -nn -d 10de:` with what the driver supports and read `dmesg` for NVRM; "
        "Maxwell, Pascal and Volta need the proprietary module and driver branch 580 or older.",
    ),
    DriverState.NO_DEVICE_ACCESS: (
        "The driver is loaded but nvidia-smi may not use its devices: in a container, systemd's "
        "daemon-reload took them from its cgroup.",
        "Recreate the container; to prevent it, give the card by CDI "
        "(`--device nvidia.com/gpu=all`). On the host itself, check /dev/nvidia* and `dmesg`.",
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

# Texts: NVIDIA's nvidia-smi(1) and reports in public issue trackers. The first that is found
# decides, before the exit code: several releases print these with 0 or 255.
TEXTS: tuple[tuple[re.Pattern[str], DriverState], ...] = tuple(
    (re.compile(pattern, re.IGNORECASE), state)
    for pattern, state in (
        (r"Driver/library version mismatch", DriverState.LIBRARY_MISMATCH),
        (r"couldn.?t communicate with the NVIDIA driver", DriverState.MODULE_NOT_LOADED),
        (r"Failed to initialize NVML: Driver Not Loaded", DriverState.MODULE_NOT_LOADED),
        (
            r"couldn.?t find libnvidia-ml|libnvidia-ml\.so[^\n]*(?:not found|cannot open)",
            DriverState.LIBRARY_MISSING,
        ),
        (
            r"Unable to determine the device handle|GPU is lost|fallen off the bus",
            DriverState.OFF_THE_BUS,
        ),
        (r"No devices were found", DriverState.NO_DEVICES),
        (
            r"Failed to initialize NVML: (?:Insufficient Permissions|No Permission)",
            DriverState.PERMISSION,
        ),
        (r"Failed to initialize NVML: Unknown Error", DriverState.NO_DEVICE_ACCESS),
        (
            r"is not a valid field to query|Unknown field|is not recognized",
            DriverState.QUERY_REJECTED,
        ),
        (
            r"nvidia-smi\S*\s*(?:command not found|not found|未找到命令|No such file or directory)",
            DriverState.ABSENT,
        ),
        (r"nvidia-smi\S*\s*(?:Permission denied|权限不够)", DriverState.PERMISSION),
    )
)

# NVIDIA's nvidia-smi(1), "Return value"; 18 is NVML's "driver/library version mismatch"; 126 and
# 127 are the shell's; 124 and 137 are timeout(1)'s.
CODES = {
    2: DriverState.QUERY_REJECTED,
    3: DriverState.QUERY_REJECTED,
    4: DriverState.PERMISSION,
    6: DriverState.NO_DEVICES,
    8: DriverState.POWER_CABLE,
    9: DriverState.MODULE_NOT_LOADED,
    10: DriverState.INTERRUPT,
    12: DriverState.LIBRARY_MISSING,
    13: DriverState.QUERY_REJECTED,
    15: DriverState.OFF_THE_BUS,
    18: DriverState.LIBRARY_MISMATCH,
    124: DriverState.TIMED_OUT,
    126: DriverState.PERMISSION,
    127: DriverState.ABSENT,
    137: DriverState.TIMED_OUT,
}
INFOROM_CODE = 14
INFOROM_TEXT = re.compile(r"infoROM is corrupt", re.IGNORECASE)
LISTED_GPU = re.compile(r"^GPU \d+: .+\(UUID: GPU-", re.MULTILINE | re.ASCII)


def classify(rc: int | None, output: str, *, timed_out: bool = False) -> Diagnosis:
    """Classify the state of the driver from one run of nvidia-smi.

    + rc: its exit code; None when there is none
    + output: standard output and standard error together, from a plain run, `-L` or a query
    + timed_out: whether it was stopped at its time limit

    Never raises: text that is not understood gives DriverState.UNKNOWN.

    **Example:** ``classify(6, "No devices were found").state`` is ``DriverState.NO_DEVICES``.
    """
    text = clean(output)
    if timed_out:
        return _diagnosis(DriverState.TIMED_OUT)
    for pattern, state in TEXTS:
        if match := pattern.search(text):
            return _diagnosis(state, _line_at(text, match.start()))
    if rc in (0, INFOROM_CODE) and _has_output(text):
        warning = INFOROM_TEXT.search(text)
        if warning or rc == INFOROM_CODE:
            return _diagnosis(
                DriverState.INFOROM_WARNING, _line_at(text, warning.start()) if warning else ""
            )
        return _diagnosis(DriverState.WORKING)
    state = CODES.get(rc, DriverState.UNKNOWN) if rc is not None else DriverState.UNKNOWN
    return _diagnosis(state, _first_line(text))


def _diagnosis(state: DriverState, evidence: str = "") -> Diagnosis:
    cause, action = SENTENCES[state]
    return Diagnosis(state, cause, action, evidence)


def _has_output(text: str) -> bool:
    header = parse_header(text)
    complete = header.driver is not None and header.cuda is not None
    return complete or bool(parse_query(text)) or LISTED_GPU.search(text) is not None


def _line_at(text: str, position: int) -> str:
    start = text.rfind("\n", 0, position) + 1
    end = text.find("\n", position)
    return text[start : end if end >= 0 else len(text)].strip()


def _first_line(text: str) -> str:
    return next((line.strip() for line in text.split("\n") if line.strip()), "")
