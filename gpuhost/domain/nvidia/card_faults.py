"""The faults that a card's own report shows, each with what to do. No value, no fault.

Rules: NVIDIA, "GPU Memory Error Management" and "Dynamic Page Retirement" (pending: a reset; a
failed remapping, 60 retired pages, too many SRAM errors: a new card); nvidia-smi(1).
"""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass

from gpuhost.domain.nvidia import card_paths as paths
from gpuhost.domain.nvidia.actions import Action
from gpuhost.domain.nvidia.placeholders import BadValue, Meaning, meaning
from gpuhost.domain.nvidia.smi_xml import Report

MOST_RETIRED = 60
NEAR_C = 3
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
    if wanted and action is None:
        evidence = f"GPU Recovery Action: {wanted[:60]}"
        yield Fault("it requests an unknown recovery", Action.INSPECT, evidence, unknown=True)
    elif action and action.blocks:
        what = f"the driver requests a recovery ({wanted}): programs cannot rely on it"
        yield Fault(what, action, f"GPU Recovery Action: {wanted}")
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
    pending = {
        "Remapped Rows Pending": report.flag(paths.REMAP_PENDING),
        "Pending Page Blacklist": any(report.flag(path) for path in paths.RETIREMENT_PENDING),
        "Channel Repair Pending": report.flag(paths.CHANNEL_REPAIR),
        "TPC Repair Pending": report.flag(paths.TPC_REPAIR),
    }
    waiting = [name for name, is_pending in pending.items() if is_pending]
    if waiting:
        what = f"a repair of its memory waits for a reset: until then {WRONG_RESULTS}"
        yield Fault(what, Action.RESET, f"{', '.join(waiting)}: Yes")
    uncorrected = report.sum(*paths.UNCORRECTED)
    if uncorrected and not waiting:
        what = f"{uncorrected} memory errors that ECC could not correct since the driver was loaded"
        yield Fault(f"{what}: {WRONG_RESULTS}", Action.RESTART, f"Volatile ECC: {uncorrected}")
    if report.number(paths.NO_SPARE_ROWS):
        what = "a bank of its memory has no spare rows left: the next fault cannot be repaired"
        yield Fault(what, Action.IGNORE, "Bank Remap Availability, None: not 0")
    yield from _unreadable(report, paths.MEMORY_NUMBERS, paths.MEMORY_FLAGS)


def faults_of_clocks(report: Report) -> Iterator[Fault]:
    """Slower by hardware. A software power cap, idle clocks or application clocks are no fault."""
    reasons = {
        "hw_thermal_slowdown": ("heat", "improve the cooling: fans, filters, air flow"),
        "hw_power_brake_slowdown": ("the power supply", "check power supplies and cables"),
    }
    active = [name for name in reasons if report.flag(*paths.slowdown(name))]
    for name in active:
        cause, fix = reasons[name]
        what = f"slowed down by {cause}: programs run several times slower"
        yield Fault(what, Action.INSPECT, f"{name}: Active", fix=fix)
    if not active and report.flag(*paths.slowdown("hw_slowdown")):
        what = "slowed down by heat or power: programs run several times slower"
        yield Fault(what, Action.INSPECT, "hw_slowdown: Active")
    margin = _margin(report)
    if margin is not None and margin <= NEAR_C and "hw_thermal_slowdown" not in active:
        what = f"{margin:g} C below its limit: it slows down, then shuts off"
        evidence = f"GPU Current Temp: {report.text(paths.TEMPERATURE)}"
        yield Fault(what, Action.INSPECT, evidence, fix=reasons["hw_thermal_slowdown"][1])
    memory, limit = report.number(paths.MEMORY_TEMPERATURE), report.number(paths.MEMORY_LIMIT)
    if memory is not None and limit and memory >= limit:
        what = f"its memory is at {memory:g} C, the limit is {limit:g} C: it slows down"
        evidence = f"Memory Current Temp: {memory:g} C"
        yield Fault(what, Action.INSPECT, evidence, fix=reasons["hw_thermal_slowdown"][1])
    numbers = (paths.TEMPERATURE, paths.SLOWDOWN_AT, paths.MARGIN, paths.SLOWDOWN_MARGIN)
    flags = tuple(path for name in (*reasons, "hw_slowdown") for path in paths.slowdown(name))
    yield from _unreadable(report, numbers, flags)


def _margin(report: Report) -> float | None:
    """Degrees to the slowdown."""
    left, slow_left = report.number(paths.MARGIN), report.number(paths.SLOWDOWN_MARGIN)
    if left is not None and slow_left is not None:
        return left - slow_left
    now, limit = report.number(paths.TEMPERATURE), report.number(paths.SLOWDOWN_AT)
    return None if now is None or not limit else limit - now


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
    fix = "systemctl restart nvidia-fabricmanager; journalctl -u nvidia-fabricmanager; then reboot"
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


def _unreadable(
    report: Report, numbers: tuple[str, ...], flags: tuple[str, ...]
) -> Iterator[Fault]:
    yield from faults_of_values(tuple(report.bad(numbers, flags)))
