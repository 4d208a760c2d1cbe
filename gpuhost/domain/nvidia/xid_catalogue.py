"""NVIDIA's numbers for errors of cards (Xid): what each means, and what to do at once.

Source: NVIDIA, "Xid Catalog" (docs.nvidia.com/deploy/xid-errors/analyzing-xid-catalog.html, as of
2025-10), column "Immediate Action": IGNORE, RESTART_APP, RESET_GPU, RESTART_VM and RESTART_BM,
CHECK_MECHANICALS, CHECK_UVM. A number that the catalogue calls unused, or does not have, is not in
here. It is of A100 and later; of older cards 61 is known too ("XID Errors", before the catalogue).
Where it has a workflow (45, 48, 74), the action is that of its usual end.
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.domain.nvidia.actions import Action

LATER = "reset the card, or reboot, when convenient: until then the card continues to work"
IF_MORE = "watch it: if other errors of the card follow, test the card"
COMES_BACK = "; if it comes back, replace the card"


@dataclass(frozen=True)
class Meaning:
    """An error in words.

    + fix: in place of the action's own words
    + harmless: the card continues to work: a fault of a program, or one that was corrected
    """

    what: str
    action: Action
    fix: str = ""
    harmless: bool = False

    @property
    def remedy(self) -> str:
        return self.fix or self.action.fix


def _ignored(what: str, fix: str = "") -> Meaning:
    return Meaning(what, Action.IGNORE, fix, harmless=True)


def _restart(what: str) -> Meaning:
    return Meaning(what, Action.RESTART, harmless=True)


def _reset(what: str, more: str = "") -> Meaning:
    return Meaning(what, Action.RESET, f"{Action.RESET.fix}{more}" if more else "")


def _all(numbers: Iterable[int], meaning: Meaning) -> dict[int, Meaning]:
    return dict.fromkeys(numbers, meaning)


# Each comes with another error, or tells of one that was corrected.
_REPORTS = (14, 37, 44, 66, 67, 106, 107, 108, 121, 137, 141, 152, 153, 160, 162, 163)
_COPY_ENGINES = (39, 40, 41, 70, 71, 72, 75, 76, 77, 85, *range(126, 136))
_MEDIA_ENGINES = (60, 68, *range(82, 85), 86, 88, 89, *range(96, 106), 139)
_COMMANDS = (11, 25, 32, 69, 80)

KNOWN: dict[int, Meaning] = {
    **_all(_REPORTS, _ignored("the driver reports an error that needs no action of its own")),
    **_all(_COPY_ENGINES, _restart("a copy by a program failed")),
    **_all(_MEDIA_ENGINES, _restart("a program's work on video, images or flow failed")),
    **_all(_COMMANDS, _restart("a program gave the card an invalid command")),
    8: _restart("a program's work stopped the card for too long"),
    13: _restart("a program made the card compute something invalid"),
    31: _restart("a program accessed memory that is not its own"),
    38: _ignored("the driver's firmware failed once"),
    43: _ignored("a program's work was stopped because of its own error", "restart that program"),
    45: _restart("a program's work was cleaned up after it ended"),
    46: _reset("the card stopped processing"),
    48: _reset("the card's memory has an error that ECC cannot correct", COMES_BACK),
    54: Meaning("a power cable of the card is not attached", Action.INSPECT),
    61: Meaning(
        "the card's controller stopped at a breakpoint",
        Action.INSPECT,
        f"if programs hang or are slow: {Action.RESET.fix}; then update driver and firmware",
    ),
    62: _reset("the card's controller halted"),
    63: _ignored("faulty memory was disabled", LATER),
    64: _reset("faulty memory could not be disabled", COMES_BACK),
    74: _reset("an NVLink between cards has a fault", "; if it comes back, reseat or replace it"),
    78: Meaning("a virtual card did not start", Action.INSPECT, "update the vGPU software"),
    79: Meaning("the card fell off the bus", Action.REPLACE),
    92: _ignored("ECC corrects unusually many errors of the card's memory", LATER),
    93: _ignored("the card's infoROM is written too often"),
    94: Meaning(
        "a memory error that ECC cannot correct ended one program",
        Action.RESTART,
        f"restart that program, then {LATER}",
    ),
    95: _reset("a memory error that ECC cannot correct may have reached every program"),
    109: _reset("the card did not change to another program's work in time"),
    110: _reset("the card's security processor reports a fault"),
    119: _reset("the card's own processor (GSP) did not answer"),
    120: _reset("the card's own processor (GSP) failed"),
    136: _reset("an NVLink could not be trained"),
    140: _reset("the card's memory has errors that ECC could not correct"),
    143: _reset("the card could not be initialised", COMES_BACK),
    151: Meaning("a key of confidential computing was not renewed", Action.REBOOT),
    155: _reset("an NVLink has a fault"),
    156: _reset("a faulty part of the card was disabled: it takes effect with a reset"),
    157: _ignored("a faulty part of the card could not be disabled", IF_MORE),
    158: _reset("the card did not answer in time"),
    # Processor and card in one package (Grace).
    159: Meaning(
        "the link between processor and card reports an error",
        Action.INSPECT,
        "dmesg | grep -i uvm; if it names a fatal error, restart the programs that use the card",
    ),
    161: _ignored("a faulty channel of the card could not be disabled", IF_MORE),
    171: _reset("the card's memory has an error that ECC cannot correct", COMES_BACK),
    172: _reset("the card's caches have an error that ECC cannot correct", COMES_BACK),
}
# NVLink 5: the line itself says whether the error is fatal.
NVLINK = frozenset(range(144, 151))
NVLINK_FATAL = _reset("an NVLink has a fault")
NVLINK_HARMLESS = _ignored("an NVLink had a fault and continues to work")
# After this many the same fault of the memory is not a single event.
MEMORY = frozenset({48, 64, 94, 95, 140, 171, 172})
OFTEN = 3
ESCALATED = {
    Action.RESTART: _reset("memory errors that ECC cannot correct keep ending programs"),
    Action.RESET: Meaning("the card's memory keeps failing", Action.REPLACE),
}
UNKNOWN = Meaning(
    "an error that gpuhost does not know", Action.INSPECT, "see NVIDIA's list of Xid errors"
)
