"""The cards' health as they report it themselves, each fault with what to do about it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.host.nvidia import reason_not_working
from gpuhost.checks.registry import check, finding_of
from gpuhost.domain.nvidia.card_faults import (
    Fault,
    faults_of_fabric,
    faults_of_licence,
    faults_of_link,
    faults_of_memory,
)
from gpuhost.domain.nvidia.card_heat import faults_of_clocks
from gpuhost.domain.nvidia.card_paths import LICENCE
from gpuhost.domain.nvidia.smi_xml import Report
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_health import (
    CardFault,
    faults_of_nvlinks,
    faults_of_reports,
    state_faults,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

SHOWN = 4
NOT_ASKED = "nvidia-smi is not there"


def _reason(snapshot: Snapshot, settings: Settings) -> Verdict | None:
    """Why a check does not apply, or not now."""
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := reason_not_working(snapshot):
        return later(reason)
    return None if snapshot.nvidia_health.is_read else skip(NOT_ASKED)


def _verdict(faults: Iterable[CardFault], expected: str) -> Verdict:
    found = sorted(faults, key=lambda fault: fault.severity, reverse=True)
    if not found:
        return ok("none", expected=expected)
    shown = found[:SHOWN]
    more = f"; and {len(found) - SHOWN} more" if len(found) > SHOWN else ""
    actual = "; ".join(f"{one.card}: {one.fault.what}" for one in shown) + more
    evidence = "\n".join(f"{one.bus_id} {one.fault.evidence}" for one in shown)
    fixes = dict.fromkeys(one.remedy for one in shown)
    if found[0].fault.unknown:
        return unknown(f"{actual} ({shown[0].fault.evidence})", fix=". ".join(fixes))
    judge = fail if found[0].fault.action.blocks else warn
    return judge(expected, actual, evidence=evidence, fix=". ".join(fixes))


@check(
    "nvidia.state",
    "Every card gives values that can be used, and the driver requests no reset of it.",
)
def state(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := _reason(snapshot, settings):
        return verdict
    return _verdict(state_faults(snapshot), "no card that requires a reset, or is lost")


def _check_reports(
    snapshot: Snapshot,
    settings: Settings,
    faults_of: Callable[[Report], Iterator[Fault]],
    expected: str,
) -> Verdict:
    verdict = _reason(snapshot, settings)
    return verdict or _verdict(faults_of_reports(snapshot, faults_of), expected)


@check(
    "nvidia.memory",
    "No card's memory has errors that ECC cannot correct, or a repair that failed or is pending.",
)
def memory(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _check_reports(snapshot, settings, faults_of_memory, "memory without such errors")


@check("nvidia.clocks", "No card is slowed down by heat or its power supply, or close to it.")
def clocks(snapshot: Snapshot, settings: Settings) -> Verdict:
    return _check_reports(snapshot, settings, faults_of_clocks, "clocks without a slowdown")


@check("nvidia.link", "Every card's PCIe link is as wide as card and slot, and fast under load.")
def link(snapshot: Snapshot, settings: Settings) -> Verdict:
    def faults_of(report: Report) -> Iterator[Fault]:
        return faults_of_link(report, snapshot.nvidia_health.slot_widths.get(report.bus_id))

    return _check_reports(snapshot, settings, faults_of, "links as wide as card and slot")


@check(
    "nvidia.nvlink",
    "NVSwitch's fabric is complete, and every card of an SXM board has its NVLinks.",
)
def nvlink(snapshot: Snapshot, settings: Settings) -> Verdict:
    if finding_of("nvidia.fabric_manager", snapshot, settings).status is Status.FAIL:
        return later("Fabric Manager sets it up: see nvidia.fabric_manager")
    if verdict := _reason(snapshot, settings):
        return verdict
    faults = [*faults_of_reports(snapshot, faults_of_fabric), *faults_of_nvlinks(snapshot)]
    return _verdict(faults, "a complete fabric, or none")


@check("nvidia.licence", "Every virtual GPU has its licence.")
def licence(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := _reason(snapshot, settings):
        return verdict
    if not snapshot.nvidia.vgpus:
        return skip("no card is a virtual GPU")
    virtual = {gpu.slot for gpu in snapshot.nvidia.answering if gpu.name in snapshot.nvidia.vgpus}
    faults = [
        one for one in faults_of_reports(snapshot, faults_of_licence) if one.bus_id in virtual
    ]
    own = [report for report in snapshot.nvidia_health.reports if report.bus_id in virtual]
    if not any(report.text(*LICENCE) for report in own):
        return skip("nvidia-smi does not say whether it has a licence")
    return _verdict(faults, "a licence")


@check("nvidia.stuck", "No process hangs in the driver (state D).")
def stuck(snapshot: Snapshot, settings: Settings) -> Verdict:
    if verdict := _reason(snapshot, settings):
        return verdict
    processes = snapshot.nvidia_health.stuck
    if not processes:
        return ok("none")
    return warn(
        "none",
        f"{len(processes)} cannot be ended, and keep their memory on the card",
        evidence=", ".join(processes[:SHOWN]),
        fix="dmesg | grep NVRM; if they are still there in some minutes, reboot",
    )
