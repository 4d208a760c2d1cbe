"""The NVIDIA driver is installed, loaded, and answers."""

from __future__ import annotations

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.host.nvidia import INSTALL, REBOOT
from gpuhost.checks.host.nvidia_boot import UNBLOCK
from gpuhost.checks.registry import check, finding_of
from gpuhost.checks.unreachable import NVIDIA, fix_for
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.nvidia.branches import recommended_branch
from gpuhost.domain.nvidia.driver_state import SENTENCES, DriverState
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import install_plan, reboot_reason
from gpuhost.plans.nvidia_libcuda import without_libcuda, without_smi
from gpuhost.plans.nvidia_loading import blocked_by, strange_holders
from gpuhost.plans.nvidia_mismatch import mismatch
from gpuhost.plans.nvidia_unfit import STATES, not_started, refusal, unfit
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# If one of these fails, it describes the state better.
BETTER_DESCRIBED = ("nvidia.nouveau", "nvidia.secure_boot")


@check("nvidia.driver", "The driver is installed, loaded, and answers.")
def driver(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    diagnosis = snapshot.nvidia.diagnosis
    if fault := snapshot.nvidia.libcuda_fault:
        cause, remedy = without_libcuda(snapshot)
        return fail(
            "a driver that CUDA starts on",
            f"driver {snapshot.nvidia.driver}: {cause}",
            evidence=f"nvidia-smi: CUDA Version: {fault}",
            fix=remedy,
        )
    if diagnosis.state is DriverState.WORKING:
        return ok(
            f"driver {snapshot.nvidia.driver}",
            evidence=f"CUDA {snapshot.nvidia.header.cuda}" if snapshot.nvidia.header.cuda else "",
        )
    if diagnosis.state is DriverState.INFOROM_WARNING:
        return warn(
            "a driver without warnings",
            f"driver {snapshot.nvidia.driver}: {diagnosis.cause}",
            evidence=diagnosis.evidence,
            fix=diagnosis.action,
        )
    for other in BETTER_DESCRIBED:
        if finding_of(other, snapshot, settings).status is Status.FAIL:
            return later(f"{diagnosis.state.value}: see {other}")
    if diagnosis.state is DriverState.UNKNOWN:
        return unknown(f"{diagnosis.cause} {diagnosis.evidence}".strip(), fix=diagnosis.action)
    refused = refusal(snapshot) if diagnosis.state in STATES else None
    return fail(
        "a driver that answers",
        f"{diagnosis.state.value}: {_cause(snapshot)}",
        evidence=refused.text if refused else diagnosis.evidence,
        fix=_fix(snapshot, settings),
    )


def _cause(snapshot: Snapshot) -> str:
    state = snapshot.nvidia.diagnosis.state
    kernels = snapshot.kernels
    if reason := unfit(snapshot):
        return reason
    if state is DriverState.MODULE_NOT_LOADED and kernels.installed:
        if kernels.running not in kernels.nvidia:
            have = f"only for: {', '.join(kernels.nvidia)}" if kernels.nvidia else "nor for another"
            return f"no module for the running kernel {kernels.running} ({have})"
        if blocked := blocked_by(snapshot):
            return f"modprobe blocks it: {blocked}"
        if refused := refusal(snapshot):
            return refused.reason.cause
        return f"the module for {kernels.running} exists, but is not loaded: reboot?"
    if state is DriverState.NO_DEVICES and (refused := refusal(snapshot)):
        return refused.reason.cause
    if state is DriverState.NO_DEVICES and (error := not_started(snapshot, snapshot.nvidia.gpus)):
        return f"{error.name}: {error.meaning.what}"
    if state is DriverState.LIBRARY_MISMATCH:
        return mismatch(snapshot).cause
    if state is DriverState.ABSENT and (loaded := snapshot.nvidia.module):
        return f"driver {loaded.version} is loaded, and nvidia-smi is not installed"
    if state is DriverState.ABSENT and (strangers := strange_holders(snapshot)):
        return f"no NVIDIA driver is installed, and {strangers}, which gpuhost leaves alone"
    if state is DriverState.ABSENT and snapshot.nvidia.rival:
        rival = snapshot.nvidia.rival.driver
        return f"no NVIDIA driver is installed; {rival}, which cannot run CUDA, uses the card"
    return SENTENCES[state][0]


def _fix(snapshot: Snapshot, settings: Settings) -> str:
    plan = install_plan(snapshot, settings)
    if plan:
        if plan.repository:
            return fix_for(plan.repository, snapshot, NVIDIA)
        return plan.refusal or AGAIN
    state = snapshot.nvidia.diagnosis.state
    if state is DriverState.ABSENT and snapshot.nvidia.module:
        return without_smi(snapshot)
    if state is DriverState.ABSENT or unfit(snapshot):
        branch = recommended_branch(snapshot.nvidia.cards)
        return f"{INSTALL} (branch {branch})" if branch else INSTALL
    if state is DriverState.MODULE_NOT_LOADED and blocked_by(snapshot):
        return UNBLOCK
    reboots = reboot_reason(snapshot) and settings.nvidia_driver == "install"
    if state is DriverState.LIBRARY_MISMATCH:
        return REBOOT if reboots else mismatch(snapshot).fix
    if state in STATES and (refused := refusal(snapshot)):
        return refused.reason.fix
    if state is DriverState.NO_DEVICES and (error := not_started(snapshot, snapshot.nvidia.gpus)):
        return error.meaning.remedy
    if reboots:
        return REBOOT
    return SENTENCES[state][1]
