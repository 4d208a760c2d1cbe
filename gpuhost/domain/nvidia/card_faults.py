"""The faults that a card's own report shows, each with what to do. No value, no fault.

Rules: NVIDIA, "Dynamic Page Retirement" (pending: a reset; 60 retired pages: a new card) and "GPU
Memory Error Management" (a pending remapping: programs run on, and new ones can start, unless the
driver requests a recovery; a failed one, too many SRAM errors: a new card); nvidia-smi(1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.domain.nvidia import card_paths as paths
from gpuhost.domain.nvidia.actions import UNKNOWN_RECOVERY, Action, recovery_fix
from gpuhost.domain.nvidia.placeholders import BadValue, Meaning, meaning
from gpuhost.domain.nvidia.smi_xml import Report

MOST_RETIRED = 60
BUSY_PERCENT = 50
OF_PLACEHOLDERS = {
    Meaning.RESET: Action.RESET,
    Meaning.LOST: Action.REPLACE,
    Meaning.FAULT: Action.REBOOT,
}
SENSORS = ("temperature", "power", "utilization", "fan")
LOOK_AGAIN = "check again; if it stays, reboot"
# Anywhere in the report: the driver answers so for every value.
GONE = (Meaning.RESET, Meaning.LOST)
WHEN_FREE = f"when the card is free: {Action.RESET.fix}"
WRONG_RESULTS = "programs may have stopped, or computed with wrong values"


@dataclass(frozen=True)
class Fault:
    """A fault of one card.

    + what: the state, and what it means for the programs that use the card
    + evidence: what nvidia-smi prints
    + unknown: it could be a fault: what is printed is not known
    """

    what: str
    action: Action
    evidence: str
    fix: str = ""
    unknown: bool = False

    @property
    def remedy(self) -> str:
        return self.fix or self.action.fix


def faults_of_values(bad: tuple[BadValue, ...]) -> Iterator[Fault]:
    """Faults of a card whose row in a query holds placeholders."""
    faults = [one for one in bad if one.meaning.is_fault]
    if not faults:
        if bad:
            yield Fault("values cannot be read", Action.INSPECT, str(bad[0]), unknown=True)
        return
    worst = max(faults, key=lambda one: OF_PLACEHOLDERS[one.meaning].value)
    if len(faults) == 1 and worst.meaning is Meaning.FAULT and worst.field.startswith(SENSORS):
        # Seen on working cards, and gone a moment later.
        yield Fault("a sensor could not be read", Action.INSPECT, str(worst), fix=LOOK_AGAIN)
        return
    what = f"{worst.meaning.value}: programs cannot use it"
    yield Fault(what, OF_PLACEHOLDERS[worst.meaning], str(worst))


def faults_of_state(report: Report) -> Iterator[Fault]:
    """What the driver itself requests for the card."""
    texts = ((path, text) for path, text in report.texts.items() if meaning(text) in GONE)
    yield from faults_of_values(tuple(BadValue(*found, meaning(found[1])) for found in texts))
    wanted = report.text(paths.RECOVERY)
    action = report.recovery
    evidence = f"GPU Recovery Action: {wanted[:60]}"
    if wanted and action is None:
        what = "the driver requests an unknown recovery"
        yield Fault(what, Action.INSPECT, evidence, fix=UNKNOWN_RECOVERY, unknown=True)
    elif action and action is not Action.IGNORE:
        effect = "programs cannot rely on it" if action.blocks else "programs on several hosts fail"
        what = f"the driver requests a recovery ({wanted}): {effect}"
        yield Fault(what, action, evidence, fix=recovery_fix(wanted))
    elif report.flag(paths.RESET_REQUIRED):
        yield Fault(
            "it requires a reset: programs cannot use it", Action.RESET, "Reset Required: Yes"
        )
    elif report.flag(paths.DRAIN_AND_RESET):
        what = "a reset is recommended: new programs may not get all of its memory"
        yield Fault(what, Action.RESET, "Drain and Reset Recommended: Yes")


def faults_of_memory(report: Report) -> Iterator[Fault]:
    if report.flag(paths.REMAP_FAILURE):
        what = "faulty memory could not be replaced by spare rows"
        yield Fault(f"{what}: {WRONG_RESULTS}", Action.REPLACE, "Remapping Failure Occurred: Yes")
    if report.flag(paths.UNREPAIRABLE):
        what = f"its memory cannot be repaired: {WRONG_RESULTS}"
        yield Fault(what, Action.REPLACE, "Unrepairable Memory: Yes")
    if report.flag(paths.SRAM_THRESHOLD):
        what = f"its caches have had too many errors: {WRONG_RESULTS}"
        yield Fault(what, Action.REPLACE, "SRAM Threshold Exceeded: Yes")
    retired = report.sum(*paths.RETIRED)
    if retired >= MOST_RETIRED:
        what = f"{retired} pages of its memory are retired, the most is 64"
        yield Fault(what, Action.REPLACE, f"Retired Pages: {retired}")
    waiting, contained = _pending(report)
    if waiting:
        what = f"a repair of its memory waits for a reset: until then {WRONG_RESULTS}"
        yield Fault(what, Action.RESET, f"{', '.join(waiting)}: Yes")
    uncorrected = report.sum(*paths.UNCORRECTED)
    if uncorrected and not waiting:
        what = f"{uncorrected} memory errors that ECC could not correct since the driver was loaded"
        yield Fault(f"{what}: {WRONG_RESULTS}", Action.RESTART, f"Volatile ECC: {uncorrected}")
    if contained:
        what = "a repair of its memory waits for a reset: until then programs are not affected"
        yield Fault(what, Action.IGNORE, f"{', '.join(contained)}: Yes", fix=WHEN_FREE)
    if report.number(paths.NO_SPARE_ROWS):
        what = "a bank of its memory has no spare rows left: the next fault cannot be repaired"
        yield Fault(what, Action.IGNORE, "Bank Remap Availability, None: not 0")
    yield from unreadable(report, paths.MEMORY_NUMBERS, paths.MEMORY_FLAGS)


def _pending(report: Report) -> tuple[list[str], list[str]]:
    """Repairs that wait for a reset: those that the card must not wait for, and the others.

    What the driver requests of the card (R570 and later) counts more than the kind of repair.
    """
    remapping = {"Remapped Rows Pending": report.flag(paths.REMAP_PENDING)}
    repair = {
        "Channel Repair Pending": report.flag(paths.CHANNEL_REPAIR),
        "TPC Repair Pending": report.flag(paths.TPC_REPAIR),
    }
    retirement = any(report.flag(path) for path in paths.RETIREMENT_PENDING)
    urgent: dict[str, bool | None] = {"Pending Page Blacklist": retirement}
    if report.recovery is Action.IGNORE:
        remapping |= repair
    else:
        urgent |= repair
    return [name for name, is_set in urgent.items() if is_set], [
        name for name, is_set in remapping.items() if is_set
    ]


def faults_of_link(report: Report, width: int | None) -> Iterator[Fault]:
    """A narrow link always; a slow one under load only, because idle cards slow theirs down.

    + width: of card and slot, as the kernel has it; None: the slot is not visible
    """
    current = report.number(paths.WIDTH)
    if width and current and current < width:
        what = f"its PCIe link has {current:g} lanes of {width}: copying to it is slower"
        yield Fault(what, Action.INSPECT, f"Link Width: {current:g}x", fix=SEATING)
    now, most = report.number(paths.GENERATION), report.number(paths.MAX_GENERATION)
    # Video at low clocks is load too: the link is fast only in the fastest states.
    fast = report.text(paths.PERFORMANCE) in ("P0", "P1", "P2")
    busy = fast and (report.number(paths.LOAD) or 0) >= BUSY_PERCENT
    if busy and now and most and now < most:
        what = f"its PCIe link runs at generation {now:g} of {most:g} under load: copying is slower"
        yield Fault(what, Action.INSPECT, f"PCIe Generation: {now:g}", fix=SEATING)


SEATING = "check the seating, riser and slot, and the slot's settings in the BIOS; then reboot"


def faults_of_fabric(report: Report) -> Iterator[Fault]:
    """NVSwitch systems only: other cards have no fabric. CUDA needs a complete one (error 802)."""
    state, status = report.text(paths.FABRIC_STATE), report.text(paths.FABRIC_STATUS)
    fix = (
        "systemctl restart nvidia-fabricmanager; journalctl -u nvidia-fabricmanager; then reboot; "
        "in a virtual machine without it, its host has to set up the fabric: ask the provider"
    )
    if state and (state.lower() != "completed" or status.lower() not in ("", "success")):
        what = f"its NVLink fabric is not set up ({state}): CUDA does not start (error 802)"
        yield Fault(what, Action.REBOOT, f"Fabric: {state} {status}".strip(), fix=fix)
        return
    unhealthy = {
        "Bandwidth": report.text(paths.FABRIC_BANDWIDTH).lower() == "degraded",
        "Route Unhealthy": report.flag(paths.ROUTE_UNHEALTHY) or False,
        "Summary": report.text(paths.FABRIC_SUMMARY).lower() in ("unhealthy", "limited capacity"),
    }
    wrong = [name for name, is_wrong in unhealthy.items() if is_wrong]
    if wrong:
        what = "its NVLink fabric is degraded: programs on several cards are slower or fail"
        yield Fault(what, Action.INSPECT, f"Fabric Health: {', '.join(wrong)}", fix=fix)


def faults_of_licence(report: Report) -> Iterator[Fault]:
    """Virtual GPUs only: a whole card names a product that it has no licence for, and needs none.

    NVIDIA, "Virtual GPU Client Licensing": without one, a virtual GPU is slowed down step by step.
    """
    status = report.text(*paths.LICENCE)
    evidence = f"License Status: {status[:60]}"
    if status.lower().startswith(("unlicensed", "expired")):
        what = "it has no licence: it gets slower, and CUDA programs fail after some time"
        yield Fault(what, Action.INSPECT, evidence, fix=LICENSING)
    elif status and not status.lower().startswith("licensed"):
        what = "the state of its licence is not known"
        yield Fault(what, Action.INSPECT, evidence, fix=LICENSING, unknown=True)


LICENSING = (
    "journalctl -u nvidia-gridd; put the licence server's token into /etc/nvidia/ClientConfigToken "
    "(older: its address into /etc/nvidia/gridd.conf); systemctl restart nvidia-gridd"
)


def unreadable(report: Report, numbers: tuple[str, ...], flags: tuple[str, ...]) -> Iterator[Fault]:
    yield from faults_of_values(tuple(report.bad(numbers, flags)))
