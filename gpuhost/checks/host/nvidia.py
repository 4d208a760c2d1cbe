"""NVIDIA's cards and driver: present, working, and right for the declared CUDA."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.registry import check, finding_of
from gpuhost.checks.unreachable import NVIDIA, fix_for
from gpuhost.domain.nvidia.cuda import Decision, recommended_branch
from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.toolkits import BRANCH_END, support_ended
from gpuhost.plans.gpu import cards_on_record, reason_without_driver
from gpuhost.plans.nvidia import (
    cuda_decision,
    install_plan,
    reboot_reason,
    wrong_branch,
    wrong_modules,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

AGAIN = "run the deploy again"
INSTALL = 'set nvidia_driver="install"'
REBOOT = "reboot, or set nvidia_reboot=True"
# If one of these fails, it describes the state better.
SEEN_ELSEWHERE = ("nvidia.nouveau", "nvidia.secure_boot")


@check(
    "nvidia.card",
    'An NVIDIA card is on the PCI bus, if `gpu` is "required" or the last deploy found one.',
)
def card(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.gpu == "none":
        return skip('gpu is "none"')
    names = ", ".join(map(_name, snapshot.nvidia.gpus)) or ", ".join(
        gpu.name for gpu in snapshot.nvidia.answering
    )
    if names:
        return ok(names)
    recorded = cards_on_record(snapshot)
    if settings.gpu == "auto" and not recorded:
        return ok("none", expected="any or none")
    return fail(
        f"the {recorded} card(s) of the last deploy" if recorded else "an NVIDIA card",
        "none on the PCI bus",
        fix="lspci -nn -d 10de: shows nothing: check its seating, or pass it through to this VM; "
        'gpu="none" if it was removed for good',
    )


def _name(device: PciDevice) -> str:
    known = card_of_device(device.device)
    return f"{known.model if known else f'10de:{device.device}'} at {device.slot}"


@check("nvidia.driver", "The driver is installed, loaded, and answers.")
def driver(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    diagnosis = snapshot.nvidia.diagnosis
    if diagnosis.state is DriverState.WORKING:
        return ok(
            f"driver {snapshot.nvidia.driver}", evidence=f"CUDA {snapshot.nvidia.header.cuda}"
        )
    if diagnosis.state is DriverState.INFOROM_WARNING:
        return warn(
            "a driver without warnings",
            f"driver {snapshot.nvidia.driver}: {diagnosis.cause}",
            evidence=diagnosis.evidence,
            fix=diagnosis.action,
        )
    for other in SEEN_ELSEWHERE:
        if finding_of(other, snapshot, settings).status is Status.FAIL:
            return later(f"{diagnosis.state.value}: see {other}")
    if diagnosis.state is DriverState.UNKNOWN:
        return unknown(f"{diagnosis.cause} {diagnosis.evidence}".strip(), fix=diagnosis.action)
    return fail(
        "a driver that answers",
        f"{diagnosis.state.value}: {_cause(snapshot)}",
        evidence=diagnosis.evidence,
        fix=_fix(snapshot, settings),
    )


def _cause(snapshot: Snapshot) -> str:
    state = snapshot.nvidia.diagnosis.state
    kernels = snapshot.kernels
    if state is DriverState.MODULE_NOT_LOADED and kernels.installed:
        if kernels.running not in kernels.nvidia:
            others = ", ".join(kernels.nvidia) or "no other kernel"
            return f"no module for the running kernel {kernels.running} (only for: {others})"
        return f"the module for {kernels.running} exists and is not loaded: no reboot yet?"
    if state is DriverState.NO_DEVICES and wrong_modules(snapshot):
        return wrong_modules(snapshot)
    if state is DriverState.ABSENT and snapshot.nvidia.nouveau:
        return "no NVIDIA driver is installed; nouveau, which cannot run CUDA, uses the card"
    if state is DriverState.LIBRARY_MISMATCH and snapshot.nvidia.module:
        on_disk = snapshot.nvidia.on_disk
        libraries = f", the libraries are {on_disk}" if on_disk else ""
        return (
            f"module {snapshot.nvidia.module.version} is loaded{libraries}. {SENTENCES[state][0]}"
        )
    return SENTENCES[state][0]


def _fix(snapshot: Snapshot, settings: Settings) -> str:
    plan = install_plan(snapshot, settings)
    if plan:
        if plan.repository:
            return fix_for(plan.repository, snapshot, NVIDIA)
        return plan.refusal or AGAIN
    state = snapshot.nvidia.diagnosis.state
    if state is DriverState.ABSENT:
        branch = recommended_branch(snapshot.nvidia.cards)
        return f"{INSTALL} (branch {branch})" if branch else INSTALL
    if reboot_reason(snapshot) and settings.nvidia_driver == "install":
        return REBOOT
    return SENTENCES[state][1]


@check("nvidia.count", "`gpu_count` cards answer; without it, every card on the bus.")
def count(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := _not_working(snapshot):
        return later(reason)
    answering, on_bus = len(snapshot.nvidia.answering), len(snapshot.nvidia.gpus)
    expected = settings.gpu_count or on_bus or answering
    if answering == expected:
        return ok(str(answering))
    silent = _silent(snapshot)
    return fail(
        f"{expected} cards",
        f"{answering} answer, {on_bus} on the bus",
        evidence=f"not answering: {', '.join(silent)}" if silent else "",
        fix="dmesg | grep NVRM; another kernel module flavour, power and seating"
        if silent
        else "correct gpu_count, or check the seating of the missing cards",
    )


def _silent(snapshot: Snapshot) -> list[str]:
    """The cards that are on the bus and do not answer."""
    answer = {gpu.bus_id.lower()[-12:] for gpu in snapshot.nvidia.answering}
    return [_name(gpu) for gpu in snapshot.nvidia.gpus if gpu.slot.lower()[-12:] not in answer]


def _not_working(snapshot: Snapshot) -> str:
    state = snapshot.nvidia.diagnosis.state
    return "" if snapshot.nvidia.works else f"the driver does not answer: {state.value}"


@check("nvidia.cuda", "Containers with the declared `cuda` run with this driver and these cards.")
def cuda(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if settings.cuda is None:
        return skip("no cuda is declared")
    decision = cuda_decision(snapshot, settings)
    if decision is None:
        raise NotRead(f"nothing is known of {', '.join(snapshot.nvidia.unknown_cards)}")
    evidence = " ".join(decision.notes)
    if snapshot.nvidia.unknown_cards:
        evidence = f"not judged: {', '.join(snapshot.nvidia.unknown_cards)}. {evidence}".strip()
    if decision.needed is not None and not snapshot.nvidia.works:
        return later(f"{_not_working(snapshot)}; {_would_do(decision)}")
    actual = f"{decision.rule.value}: {decision.reason}"
    if decision.refused:
        return warn(
            f"CUDA {settings.cuda}, NVIDIA's images too",
            actual,
            evidence=evidence,
            fix=f"set NVIDIA_DISABLE_REQUIRE=1 on the containers, or {INSTALL} and "
            f'nvidia_branch="{decision.branch}"',
        )
    if decision.rule.runs:
        return ok(actual, expected=f"CUDA {settings.cuda}", evidence=evidence)
    return fail(
        f"CUDA {settings.cuda}",
        actual,
        evidence=evidence,
        fix=_cuda_fix(snapshot, settings, decision),
    )


def _would_do(decision: Decision) -> str:
    return f"{decision.needed} or later is needed, best from branch {decision.branch}"


def _cuda_fix(snapshot: Snapshot, settings: Settings, decision: Decision) -> str:
    plan = install_plan(snapshot, settings)
    if plan and plan.refusal:
        return plan.refusal
    if decision.needed is None:
        offer = f'set cuda="{decision.offer}" or lower, or ' if decision.offer else ""
        return f"{offer}use other cards: no driver changes this"
    if plan:
        return f"{AGAIN}, with adopt=True while containers run"
    return f"{INSTALL} (branch {decision.branch}), or use images of CUDA {decision.offer}"


@check("nvidia.branch", "The driver is from `nvidia_branch`, and NVIDIA still supports its branch.")
def branch(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if reason := _not_working(snapshot):
        return later(reason)
    driver_version = snapshot.nvidia.driver
    if driver_version is None:
        raise NotRead("nvidia-smi names no driver version")
    if wrong_branch(snapshot, settings):
        plan = install_plan(snapshot, settings)
        again = f"{AGAIN}, with adopt=True while containers run"
        return fail(
            f"branch {settings.nvidia_branch}",
            str(driver_version),
            fix=plan.refusal if plan and plan.refusal else again,
        )
    today = datetime.fromtimestamp(snapshot.system.now, timezone.utc).date()
    if support_ended(driver_version.branch, today):
        best = recommended_branch(snapshot.nvidia.cards)
        return warn(
            "a branch that NVIDIA supports",
            f"branch {driver_version.branch} gets no more security fixes",
            evidence=f"ended {BRANCH_END[driver_version.branch]}"
            if driver_version.branch in BRANCH_END
            else "",
            fix=f'{INSTALL} and nvidia_branch="{best}"' if best else "replace the card",
        )
    return ok(f"branch {driver_version.branch}")
