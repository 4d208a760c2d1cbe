"""Faults of a card that is slowed down: by heat or by its power supply. No value, no fault."""

from __future__ import annotations

from collections.abc import Iterator

from gpuhost.domain.nvidia import card_paths as paths
from gpuhost.domain.nvidia.actions import Action
from gpuhost.domain.nvidia.card_faults import Fault, unreadable
from gpuhost.domain.nvidia.smi_xml import Report

NEAR_C = 3
BY_DRIVER = "sw_thermal_slowdown"


def faults_of_clocks(report: Report) -> Iterator[Fault]:
    """Slower by heat or power supply. A power cap, idle or application clocks are no fault."""
    cooling = "improve the cooling: fans, filters, air flow"
    reasons = {
        "hw_thermal_slowdown": ("heat", cooling),
        "hw_power_brake_slowdown": ("the power supply", "check power supplies and cables"),
    }
    active = [name for name in reasons if report.flag(*paths.slowdown(name))]
    is_hot = "hw_thermal_slowdown" in active
    if not is_hot and report.flag(*paths.slowdown(BY_DRIVER)) and not _is_at_target(report):
        # The driver does it first, at the highest operating temperature.
        what, is_hot = "slowed down by heat: programs run slower", True
        yield Fault(what, Action.INSPECT, f"{BY_DRIVER}: Active", fix=cooling)
    for name in active:
        cause, fix = reasons[name]
        what = f"slowed down by {cause}: programs run several times slower"
        yield Fault(what, Action.INSPECT, f"{name}: Active", fix=fix)
    if not active and report.flag(*paths.slowdown("hw_slowdown")):
        what = "slowed down by heat or power: programs run several times slower"
        yield Fault(what, Action.INSPECT, "hw_slowdown: Active")
    margin = _margin(report)
    if margin is not None and margin <= NEAR_C and not is_hot:
        what = f"{margin:g} C below its limit: it slows down, then shuts off"
        evidence = f"GPU Current Temp: {report.text(paths.TEMPERATURE)}"
        yield Fault(what, Action.INSPECT, evidence, fix=cooling)
    memory, limit = report.number(paths.MEMORY_TEMPERATURE), report.number(paths.MEMORY_LIMIT)
    if memory is not None and limit and memory >= limit:
        what = f"its memory is at {memory:g} C, the limit is {limit:g} C: it slows down"
        evidence = f"Memory Current Temp: {memory:g} C"
        yield Fault(what, Action.INSPECT, evidence, fix=cooling)
    numbers = (paths.TEMPERATURE, paths.SLOWDOWN_AT, paths.MARGIN, paths.SLOWDOWN_MARGIN)
    names = (*reasons, BY_DRIVER, "hw_slowdown")
    flags = tuple(path for name in names for path in paths.slowdown(name))
    yield from unreadable(report, numbers, flags)


def _is_at_target(report: Report) -> bool:
    """Fans and clocks hold a GeForce at its target temperature, below the highest one: no fault.

    Below its target, another part is too hot: its memory, or one spot.
    """
    now, target = report.number(paths.TEMPERATURE), report.number(paths.TARGET)
    if now is None or not target or now < target - NEAR_C:
        return False
    highest, left = report.number(paths.HIGHEST), report.number(paths.MARGIN)
    margin = highest - now if highest else left
    return margin is not None and margin > NEAR_C


def _margin(report: Report) -> float | None:
    """Degrees to the slowdown."""
    left, slow_left = report.number(paths.MARGIN), report.number(paths.SLOWDOWN_MARGIN)
    if left is not None and slow_left is not None:
        return left - slow_left
    now, limit = report.number(paths.TEMPERATURE), report.number(paths.SLOWDOWN_AT)
    return None if now is None or not limit else limit - now
