"""The declared CUDA runs with the driver and the cards, and NVIDIA supports the driver's branch."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.host.nvidia import INSTALL, reason_not_working
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.moment import utc
from gpuhost.domain.nvidia.branches import recommended_branch
from gpuhost.domain.nvidia.cuda import Decision
from gpuhost.domain.nvidia.driver_choice import UBUNTU_BRANCHES
from gpuhost.domain.nvidia.toolkits import BRANCH_END, support_ended
from gpuhost.domain.nvidia.vgpu import GRID_DRIVER
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import cuda_decision, install_plan, wrong_branch
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot


@check("nvidia.cuda", "Containers with the declared `cuda` run with this driver and these cards.")
def cuda(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if settings.cuda is None:
        return skip("no cuda is declared")
    if snapshot.nvidia.libcuda_fault:
        return later("libcuda.so.1 is missing or fails: see nvidia.driver")
    decision = cuda_decision(snapshot, settings)
    if decision is None:
        raise NotRead(f"gpuhost does not know {', '.join(snapshot.nvidia.unknown_cards)}")
    evidence = " ".join(decision.notes)
    if snapshot.nvidia.unknown_cards:
        evidence = f"not checked: {', '.join(snapshot.nvidia.unknown_cards)}. {evidence}".strip()
    if decision.needed is not None and not snapshot.nvidia.works:
        return later(f"{reason_not_working(snapshot)}; {_would_do(decision)}")
    actual = f"{decision.rule.value}: {decision.reason}"
    if decision.refused:
        return warn(
            f"CUDA {settings.cuda}, NVIDIA's images too",
            actual,
            evidence=evidence,
            fix="set NVIDIA_DISABLE_REQUIRE=1 on the containers, or "
            + _upgrade(snapshot, decision),
        )
    if decision.rule.runs:
        return ok(actual, expected=f"CUDA {settings.cuda}", evidence=evidence)
    return fail(
        f"CUDA {settings.cuda}",
        actual,
        evidence=evidence,
        fix=_cuda_fix(snapshot, settings, decision),
    )


def _upgrade(snapshot: Snapshot, decision: Decision) -> str:
    if snapshot.nvidia.vgpus:
        return f"upgrade the driver: {GRID_DRIVER}"
    return f'{INSTALL} and nvidia_branch="{decision.branch}"'


def _would_do(decision: Decision) -> str:
    return f"{decision.needed} or later is needed, best from branch {decision.branch}"


def _cuda_fix(snapshot: Snapshot, settings: Settings, decision: Decision) -> str:
    plan = install_plan(snapshot, settings)
    if plan and plan.refusal:
        return plan.refusal
    if snapshot.nvidia.vgpus:
        return GRID_DRIVER
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
    if reason := reason_not_working(snapshot):
        return later(reason)
    driver_version = snapshot.nvidia.driver
    if driver_version is None:
        raise NotRead("nvidia-smi names no driver version")
    if wrong_branch(snapshot, settings):
        plan = install_plan(snapshot, settings)
        replace_driver = f"{AGAIN}, with adopt=True while containers run"
        return fail(
            f"branch {settings.nvidia_branch}",
            str(driver_version),
            fix=plan.refusal if plan and plan.refusal else replace_driver,
        )
    today = utc(snapshot.system.now).date()
    ended = support_ended(driver_version.branch, today)
    if ended is None:
        return unknown(
            f"branch {driver_version.branch}: NVIDIA's end of support is not known to gpuhost",
            fix='docs.nvidia.com/datacenter/tesla/drivers, "Supported drivers and CUDA toolkit '
            'versions"',
        )
    if ended:
        best = recommended_branch(snapshot.nvidia.cards)
        return warn(
            "a branch that NVIDIA supports",
            f"branch {driver_version.branch} gets no more security fixes",
            evidence=f"ended {BRANCH_END[driver_version.branch]}"
            if driver_version.branch in BRANCH_END
            else "",
            fix=GRID_DRIVER if snapshot.nvidia.vgpus else _newer(snapshot, best),
        )
    return ok(f"branch {driver_version.branch}")


def _newer(snapshot: Snapshot, best: int | None) -> str:
    if best is None:
        return "replace the card"
    system = snapshot.system
    offered = UBUNTU_BRANCHES.get(system.version, ()) if system.distribution == "ubuntu" else ()
    source = "" if best in offered else ', nvidia_source="nvidia"'
    return f'{INSTALL}, nvidia_branch="{best}"{source}'
