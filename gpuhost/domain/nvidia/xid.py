"""Errors of cards in the kernel's log: NVIDIA's numbers (Xid), their meaning, what to do.

Meanings and actions: NVIDIA, "Xid Errors", docs.nvidia.com/deploy/xid-errors. The forms of the
lines are those of the driver's own source (kernel_rc.c, rmapi/nv.c).
"""

from __future__ import annotations

import re
from dataclasses import dataclass

OFF_THE_BUS = 79
RECOVERY = 154


@dataclass(frozen=True)
class Meaning:
    """An error in words.

    + fix: what a person does about it
    + harmless: the card continues to work: a fault of a program, or one that was corrected
    """

    what: str
    fix: str
    harmless: bool = False


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
            return _NOT_STARTED
        if self.number == RECOVERY:
            return Meaning("the driver requests a recovery", _recovery(self.text))
        return KNOWN.get(self.number, _UNKNOWN)


RESTART = "restart the program that used the card; if other programs fail too, test the card"
RESET = "stop what uses the card and reset it (nvidia-smi --gpu-reset -i CARD), or reboot"
REBOOT = "reboot"
REPLACE = "reboot; if it comes back, check power, temperature and seating, then replace the card"
LATER = "reset the card, or reboot, when convenient: until then the card continues to work"

_UNKNOWN = Meaning("see NVIDIA's list of Xid errors", RESET)
_NOT_STARTED = Meaning(
    "its firmware or memory did not start",
    "reboot; if it stays, compare the driver's branch and module flavour with the card",
)
_SWITCH = Meaning("an NVSwitch has a fault", "reboot; if it comes back, replace the baseboard")
_SWITCH_HARMLESS = Meaning(
    "an NVSwitch had a fault and continues to work", "watch it", harmless=True
)

KNOWN: dict[int, Meaning] = {
    8: Meaning("the card stopped processing", RESET),
    13: Meaning("a program made the card compute something invalid", RESTART, harmless=True),
    31: Meaning("a program accessed memory that is not its own", RESTART, harmless=True),
    38: Meaning("the driver's firmware failed", RESET),
    43: Meaning("a program's work was stopped because of its own error", RESTART, harmless=True),
    45: Meaning("a program's work was cleaned up after it ended", RESTART, harmless=True),
    48: Meaning(
        "the card's memory has an error that ECC cannot correct",
        f"{RESET}; if it comes back, replace the card",
    ),
    61: Meaning("the card's controller stopped", RESET),
    62: Meaning("the card's controller halted", RESET),
    63: Meaning("faulty memory was disabled", LATER, harmless=True),
    64: Meaning(
        "faulty memory could not be disabled",
        f"{RESET}; if it comes back, replace the card",
    ),
    69: Meaning("a program gave the card an invalid command", RESTART, harmless=True),
    74: Meaning(
        "an NVLink between cards has a fault", f"{RESET}; if it comes back, reseat or replace it"
    ),
    79: Meaning("the card fell off the bus", REPLACE),
    92: Meaning("ECC corrects unusually many errors of the card's memory", LATER, harmless=True),
    94: Meaning(
        "a memory error that ECC cannot correct ended one program",
        f"restart that program, then {LATER}",
    ),
    95: Meaning("a memory error that ECC cannot correct may have reached every program", RESET),
    109: Meaning("the card did not change to another program's work in time", RESET),
    119: Meaning("the card's own processor (GSP) did not answer", RESET),
    120: Meaning("the card's own processor (GSP) failed", RESET),
    140: Meaning("the card's memory has errors that ECC could not correct", RESET),
    143: Meaning("the card could not be initialised", REPLACE),
}

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
        if number == RECOVERY and _recovery(text) == "":
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


def _recovery(text: str) -> str:
    """The action that Xid 154 requests; "": it withdraws its earlier request."""
    match = _ASKS.search(text)
    action = match["action"] if match else text
    if action == "None":
        return ""
    if "Reboot" in action:
        return REBOOT
    return RESET
