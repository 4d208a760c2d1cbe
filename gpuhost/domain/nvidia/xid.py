"""Errors of cards in the kernel's log, with NVIDIA's numbers (Xid).

The forms of the lines are those of the driver's own source (kernel_rc.c, rmapi/nv.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.domain.nvidia.actions import UNKNOWN_RECOVERY, Action, recovery, recovery_fix
from gpuhost.domain.nvidia.xid_catalogue import (
    ESCALATED,
    KNOWN,
    MEMORY,
    NVLINK,
    NVLINK_FATAL,
    NVLINK_HARMLESS,
    OFTEN,
    UNKNOWN,
    Meaning,
)

OFF_THE_BUS = 79
RECOVERY = 154


@dataclass(frozen=True)
class CardError:
    """One kind of error of one card.

    + card: its place on the PCI bus as the driver writes it, "0000:05:00"; "" if it is not named
    + number: the Xid, or of an NVSwitch the SXid; None for an error without one
    + times: how often since the boot
    + last: when it was last, "2026-11-21 20:01 UTC"
    + text: the driver's own words, of the last time
    """

    card: str
    number: int | None
    times: int
    last: str
    text: str
    of_switch: bool = False

    @property
    def name(self) -> str:
        if self.number is None:
            return "the driver could not start it"
        return f"{'SXid' if self.of_switch else 'Xid'} {self.number}"

    @property
    def meaning(self) -> Meaning:
        if self.of_switch:
            return _SWITCH_HARMLESS if "Non-fatal" in self.text else _SWITCH
        if self.number is None:
            return next((why for note, why in _STARTS if note in self.text), _NOT_STARTED)
        if self.number == RECOVERY:
            return _requested(self.text)
        if self.number in NVLINK:
            return NVLINK_HARMLESS if "Nonfatal" in self.text else NVLINK_FATAL
        known = KNOWN.get(self.number, UNKNOWN)
        if self.number in MEMORY and self.times >= OFTEN:
            return ESCALATED.get(known.action, known)
        return known


def _requested(text: str) -> Meaning:
    words = recovery_words(text)
    action = recovery(words)
    if action is None:
        return Meaning("the driver requests an unknown recovery", Action.INSPECT, UNKNOWN_RECOVERY)
    return Meaning("the driver requests a recovery", action, recovery_fix(words))


_NOT_STARTED = Meaning(
    "its firmware or memory did not start",
    Action.REBOOT,
    "reboot; if it stays, compare the driver's branch and module flavour with the card",
)
_POWER_OFF = "switch the machine off for half a minute, at its power supply"
# By what the kernel's log says before it, as CARD_ERRORS (snapshot/kernel_log.py) notes it.
_STARTS = (
    # Of the GPU's System Processor (GSP). Seen on Blackwell after a failure of it.
    (
        "(WPR2 already up)",
        Meaning(
            "its firmware did not start: protected memory is still set up from before the last "
            "reboot",
            Action.REBOOT,
            f"{_POWER_OFF}: a reboot does not reset it",
        ),
    ),
    (
        "(no firmware file)",
        Meaning(
            "the firmware file of this driver's version is missing",
            Action.INSPECT,
            "ls /lib/firmware/nvidia: it must have the driver's version; apt-get install "
            "--reinstall firmware-nvidia-gsp (Debian) or nvidia-firmware-BRANCH-VERSION (Ubuntu), "
            "or run the driver's installer again; update-initramfs -u; reboot",
        ),
    ),
    (
        "(GFW boot)",
        Meaning(
            "the card's own boot code did not finish, before any driver",
            Action.REPLACE,
            f"{_POWER_OFF}; if it stays, check power cables, riser and slot, then replace the card",
        ),
    ),
    (
        "(VBIOS)",
        Meaning(
            "its VBIOS is not what the driver expects",
            Action.REPLACE,
            "write the maker's own VBIOS to the card; of a card that was rebuilt, ask its seller",
        ),
    ),
    (
        "(D3cold)",
        Meaning(
            "it did not wake from power saving (D3cold)",
            Action.REBOOT,
            f"{_POWER_OFF}; then boot with pcie_port_pm=off; on a hypervisor, options vfio-pci "
            "disable_idle_d3=1",
        ),
    ),
    (
        "(data centre only)",
        Meaning(
            "these open kernel modules drive only data-centre cards",
            Action.INSPECT,
            "install the proprietary kernel modules, or branch 580",
        ),
    ),
)
_SWITCH = Meaning(
    "an NVSwitch has a fault",
    Action.REBOOT,
    "reboot; if it comes back, replace the baseboard",
)
_SWITCH_HARMLESS = Meaning(
    "an NVSwitch had a fault and continues to work", Action.IGNORE, harmless=True
)

# `NVRM: Xid (PCI:0000:01:00 GPU-I:05): 94, pid=7194, …`; old drivers leave `PCI:` out.
_XID = re.compile(
    r"(?P<switch>S?)Xid \((?:PCI:)?(?P<card>[0-9a-fA-F:.]+)[^)]*\): (?P<number>\d{1,6})\b"
)
_SLOT = re.compile(r"\b[0-9a-fA-F]{4,8}:[0-9a-fA-F]{2}:[0-9a-fA-F]{2}\b")
_ASKS = re.compile(r"changed from .* to 0x[0-9a-fA-F]+ \((?P<action>[^)]*)\)")


def parse(counted: str) -> tuple[CardError, ...]:
    """The lines of the kernel's log that are about errors of cards, each with how often it came.

    + counted: lines of COUNT, a tab, and the line of the last time: its moment, then the text
    """
    errors: dict[tuple[str, int | None], CardError] = {}
    for line in counted.splitlines():
        count, tab, rest = line.partition("\t")
        moment, blank, text = rest.partition(" ")
        if not tab or not blank or not count.isdecimal():
            continue
        error = _error(text, int(count), _moment(moment))
        # A card that is off the bus is reported in several forms.
        if error and (error.card, error.number) not in errors:
            errors[error.card, error.number] = error
    return tuple(errors.values())


def _error(text: str, times: int, last: str) -> CardError | None:
    if match := _XID.search(text):
        number = int(match["number"])
        if number == RECOVERY and recovery(recovery_words(text)) is Action.IGNORE:
            # It withdraws its earlier request.
            return None
        return CardError(_slot(match["card"]), number, times, last, text, bool(match["switch"]))
    if "NVRM" not in text:
        return None
    if "fallen off the bus" in text:
        return CardError(_slot(text), OFF_THE_BUS, times, last, text)
    if "RmInitAdapter failed" in text:
        return CardError(_slot(text), None, times, last, text)
    return None


def _slot(text: str) -> str:
    match = _SLOT.search(text)
    return match[0].lower()[-10:] if match else ""


def _moment(iso: str) -> str:
    """`2026-11-21T20:01:59,123456+00:00`, as dmesg has it, for a person."""
    match = re.match(r"(\d{4}-\d\d-\d\d)T(\d\d:\d\d)", iso)
    return f"{match[1]} {match[2]} UTC" if match else "an unknown time"


def recovery_words(text: str) -> str:
    """The recovery that Xid 154 requests, in the driver's words; "": none is found."""
    match = _ASKS.search(text)
    return match["action"] if match else ""
