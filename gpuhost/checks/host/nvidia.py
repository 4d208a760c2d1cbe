"""NVIDIA's cards and driver: there, answering, enough of them, fit for the declared CUDA."""

from __future__ import annotations

from datetime import datetime, timezone

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.host.nvidia_boot import nouveau, secure_boot
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.cuda import Decision, recommended_branch
from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.domain.nvidia.pci import PciDevice, card_of_device
from gpuhost.domain.nvidia.toolkits import BRANCH_END, support_ended
from gpuhost.plans.gpu import cards_on_record, not_concerned
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
# States that another check has a better word for, if that check fails.
SEEN_ELSEWHERE = (nouveau, secure_boot)


@check(
    "nvidia.card",
    'An NVIDIA card is on the PCI bus, where `gpu` is "required" or the last deploy found one.',
)
def card(now: Snapshot, declared: Settings) -> Verdict:
    if declared.gpu == "none":
        return skip('gpu is "none"')
    names = ", ".join(map(_name, now.nvidia.gpus)) or ", ".join(
        gpu.name for gpu in now.nvidia.answering
    )
    if names:
        return ok(names)
    before = cards_on_record(now)
    if declared.gpu == "auto" and not before:
        return ok("none", expected="any or none")
    return fail(
        f"the {before} card(s) of the last deploy" if before else "an NVIDIA card",
        "none on the PCI bus",
        fix="lspci -nn -d 10de: shows nothing: seat the card, or give it to this virtual machine; "
        'gpu="none" if it was taken out for good',
    )


def _name(device: PciDevice) -> str:
    known = card_of_device(device.device)
    return f"{known.model if known else f'10de:{device.device}'} at {device.slot}"


@check("nvidia.driver", "The driver is installed, loaded, and answers.")
def driver(now: Snapshot, declared: Settings) -> Verdict:
    if reason := not_concerned(now, declared):
        return skip(reason)
    found = now.nvidia.diagnosis
    if found.state is DriverState.WORKING:
        return ok(f"driver {now.nvidia.driver}", evidence=f"CUDA {now.nvidia.header.cuda}")
    if found.state is DriverState.INFOROM_WARNING:
        return warn(
            "a driver without complaints",
            f"driver {now.nvidia.driver}: {found.cause}",
            evidence=found.evidence,
            fix=found.action,
        )
    for other in SEEN_ELSEWHERE:
        if other.judge(now, declared).status is Status.FAIL:
            return later(f"{found.state.value}: see {other.id}")
    if found.state is DriverState.UNKNOWN:
        return unknown(f"{found.cause} {found.evidence}".strip(), fix=found.action)
    return fail(
        "a driver that answers",
        f"{found.state.value}: {_cause(now)}",
        evidence=found.evidence,
        fix=_fix(now, declared),
    )


def _cause(now: Snapshot) -> str:
    state = now.nvidia.diagnosis.state
    kernels = now.kernels
    if state is DriverState.MODULE_NOT_LOADED and kernels.installed:
        if kernels.running not in kernels.nvidia:
            others = ", ".join(kernels.nvidia) or "no other kernel"
            return f"no module for the running kernel {kernels.running} (there is for: {others})"
        return f"the module for {kernels.running} is there and was not loaded: no reboot yet?"
    if state is DriverState.NO_DEVICES and wrong_modules(now):
        return wrong_modules(now)
    if state is DriverState.ABSENT and now.nvidia.nouveau:
        return "there is no NVIDIA driver; nouveau, which cannot run CUDA, holds the card"
    if state is DriverState.LIBRARY_MISMATCH and now.nvidia.module:
        on_disk = now.nvidia.on_disk
        libraries = f", the libraries are {on_disk}" if on_disk else ""
        return f"module {now.nvidia.module.version} is loaded{libraries}. {SENTENCES[state][0]}"
    return SENTENCES[state][0]


def _fix(now: Snapshot, declared: Settings) -> str:
    plan = install_plan(now, declared)
    if plan:
        return plan.refusal or AGAIN
    state = now.nvidia.diagnosis.state
    if state is DriverState.ABSENT:
        branch = recommended_branch(now.nvidia.cards)
        return f"{INSTALL} (branch {branch})" if branch else INSTALL
    if reboot_reason(now) and declared.nvidia_driver == "install":
        return REBOOT
    return SENTENCES[state][1]


@check("nvidia.count", "`gpu_count` cards answer; without it, every card on the bus.")
def count(now: Snapshot, declared: Settings) -> Verdict:
    if reason := not_concerned(now, declared):
        return skip(reason)
    if reason := _not_working(now):
        return later(reason)
    answering, on_bus = len(now.nvidia.answering), len(now.nvidia.gpus)
    wanted = declared.gpu_count or on_bus or answering
    if answering == wanted:
        return ok(str(answering))
    silent = _silent(now)
    return fail(
        f"{wanted} cards",
        f"{answering} answer, {on_bus} on the bus",
        evidence=f"silent: {', '.join(silent)}" if silent else "",
        fix="dmesg | grep NVRM; another kernel module flavour, power and seating"
        if silent
        else "correct gpu_count, or seat the missing cards",
    )


def _silent(now: Snapshot) -> list[str]:
    """The cards that are on the bus and not among those that answer."""
    answer = {gpu.bus_id.lower()[-12:] for gpu in now.nvidia.answering}
    return [_name(gpu) for gpu in now.nvidia.gpus if gpu.slot.lower()[-12:] not in answer]


def _not_working(now: Snapshot) -> str:
    state = now.nvidia.diagnosis.state
    return "" if now.nvidia.works else f"the driver does not answer: {state.value}"


@check("nvidia.cuda", "Containers with the declared `cuda` run on this driver and these cards.")
def cuda(now: Snapshot, declared: Settings) -> Verdict:
    if reason := not_concerned(now, declared):
        return skip(reason)
    if declared.cuda is None:
        return skip("no cuda is declared")
    decision = cuda_decision(now, declared)
    if decision is None:
        raise NotRead(f"nothing is known of {', '.join(now.nvidia.unknown_cards)}")
    evidence = " ".join(decision.notes)
    if now.nvidia.unknown_cards:
        evidence = f"not judged: {', '.join(now.nvidia.unknown_cards)}. {evidence}".strip()
    if decision.needed is not None and not now.nvidia.works:
        return later(f"{_not_working(now)}; {_would_do(decision)}")
    actual = f"{decision.rule.value}: {decision.reason}"
    if decision.refused:
        return warn(
            f"CUDA {declared.cuda}, NVIDIA's images too",
            actual,
            evidence=evidence,
            fix=f"set NVIDIA_DISABLE_REQUIRE=1 on the containers, or {INSTALL} and "
            f'nvidia_branch="{decision.branch}"',
        )
    if decision.rule.runs:
        return ok(actual, expected=f"CUDA {declared.cuda}", evidence=evidence)
    return fail(
        f"CUDA {declared.cuda}", actual, evidence=evidence, fix=_cuda_fix(now, declared, decision)
    )


def _would_do(decision: Decision) -> str:
    return f"{decision.needed} or later would do, best of branch {decision.branch}"


def _cuda_fix(now: Snapshot, declared: Settings, decision: Decision) -> str:
    plan = install_plan(now, declared)
    if plan and plan.refusal:
        return plan.refusal
    if decision.needed is None:
        offer = f'set cuda="{decision.offer}" or lower, or ' if decision.offer else ""
        return f"{offer}use other cards: no driver changes this"
    if plan:
        return f"{AGAIN}, with adopt=True while containers run"
    return f"{INSTALL} (branch {decision.branch}), or use images of CUDA {decision.offer}"


@check("nvidia.branch", "The driver is of `nvidia_branch`, and NVIDIA still supports its branch.")
def branch(now: Snapshot, declared: Settings) -> Verdict:
    if reason := not_concerned(now, declared):
        return skip(reason)
    if reason := _not_working(now):
        return later(reason)
    found = now.nvidia.driver
    if found is None:
        raise NotRead("nvidia-smi names no driver version")
    if wrong_branch(now, declared):
        plan = install_plan(now, declared)
        again = f"{AGAIN}, with adopt=True while containers run"
        return fail(
            f"branch {declared.nvidia_branch}",
            str(found),
            fix=plan.refusal if plan and plan.refusal else again,
        )
    today = datetime.fromtimestamp(now.system.now, timezone.utc).date()
    if support_ended(found.branch, today):
        best = recommended_branch(now.nvidia.cards)
        return warn(
            "a branch that NVIDIA supports",
            f"branch {found.branch} gets no security fixes any more",
            evidence=f"ended {BRANCH_END[found.branch]}" if found.branch in BRANCH_END else "",
            fix=f'{INSTALL} and nvidia_branch="{best}"' if best else "replace the card",
        )
    return ok(f"branch {found.branch}")
