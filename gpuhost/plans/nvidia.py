"""The packages to install for the declared driver, or why that is not possible on this host."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace

from gpuhost.domain.apt import repository as apt
from gpuhost.domain.apt.entry import SourceFile
from gpuhost.domain.nvidia.cards import Card, module_conflict
from gpuhost.domain.nvidia.cuda import Decision, decide
from gpuhost.domain.nvidia.cuda_rule import Rule
from gpuhost.domain.nvidia.display import without_display
from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.driver_packages import (
    DriverPackages,
    distribution_packages,
    nvidia_packages,
)
from gpuhost.domain.nvidia.driver_state import DriverState
from gpuhost.domain.nvidia.repository import UnknownRepositoryError
from gpuhost.domain.nvidia.version import CudaVersion
from gpuhost.domain.nvidia.vgpu import GRID_DRIVER
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_kernel import headers_to_install, kernel_to_build_for
from gpuhost.plans.nvidia_loading import blocked_by
from gpuhost.plans.nvidia_mismatch import mismatch
from gpuhost.plans.nvidia_repository import components_file, repository_for, system_of
from gpuhost.plans.nvidia_unfit import (
    loads_other_modules,
    refusal,
    two_drivers,
    unfit,
    unfit_branch,
    wasted_cards,
    wrong_modules,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot

# Its kernel, its driver and its tools fit each other (NVIDIA, "DGX OS user guide").
OF_DGX = "DGX OS brings its own driver: apt-get update, then apt-get full-upgrade from its sources"


@dataclass(frozen=True)
class InstallPlan:
    """A driver to install.

    + why: the fault of the present driver
    + packages: None if nothing can be installed; `refusal` is the reason
    + repository: NVIDIA's, if the driver comes from it
    + archive: the file that enables what the driver needs of the distribution's own archive
    + replaces: another driver is in use, and containers may use it
    """

    why: str
    packages: DriverPackages | None = None
    repository: apt.Repository | None = None
    archive: SourceFile | None = None
    replaces: bool = False
    refusal: str = ""


def install_plan(snapshot: Snapshot, settings: Settings) -> InstallPlan | None:
    """What must be installed; None: nothing is wrong, or no installation is declared.

    A driver that works stays unless it cannot run the declared CUDA, is not of the declared branch,
    or leaves out cards that another one drives too; the last not while containers run, without
    adopt. One that is installed and not loaded stays too.
    """
    if settings.nvidia_driver != "install" or reason_without_driver(snapshot, settings):
        return None
    why, replaces = _why(snapshot, settings)
    if not why:
        may_replace = settings.adopt or not _containers_run(snapshot)
        return plan_for_wasted(snapshot, settings) if may_replace else None
    if snapshot.system.dgx:
        return InstallPlan(why, refusal=OF_DGX)
    try:
        plan = _for_wasted_too(snapshot, settings) or _packages(
            snapshot, settings, snapshot.nvidia.cards
        )
    except (NoDriverPackagesError, UnknownRepositoryError) as error:
        return InstallPlan(why, refusal=str(error))
    return None if _is_on_disk(snapshot, plan) else replace(plan, why=why, replaces=replaces)


def _is_on_disk(snapshot: Snapshot, plan: InstallPlan) -> bool:
    """Whether every package is installed: remaining faults need a reboot, not an installation."""
    driver, packages = snapshot.nvidia.on_disk, plan.packages
    return bool(
        packages
        and driver
        and driver.branch == packages.branch
        and snapshot.nvidia.packages.keys() >= set(packages.packages)
    )


def _why(snapshot: Snapshot, settings: Settings) -> tuple[str, bool]:
    if not snapshot.nvidia.installed:
        return "no driver is installed", False
    missing = [
        name for name in snapshot.nvidia.record.packages if name not in snapshot.nvidia.packages
    ]
    if missing and not snapshot.nvidia.works:
        return f"an installation was interrupted before {', '.join(missing)}", False
    wrong = wrong_branch(snapshot, settings) or unfit(snapshot) or too_old(snapshot, settings)
    return (wrong, True) if wrong else ("", False)


def _containers_run(snapshot: Snapshot) -> bool:
    try:
        return bool(snapshot.docker.names(running=True))
    except NotRead:
        return True


def plan_for_wasted(snapshot: Snapshot, settings: Settings) -> InstallPlan | None:
    """Other kernel modules, or a newer branch, that drive the cards that are left out too."""
    plan = None if snapshot.system.dgx else _for_wasted_too(snapshot, settings)
    if plan is None or _is_on_disk(snapshot, plan):
        return None
    why = f"driver {snapshot.nvidia.driver} does not drive the {wasted_cards(snapshot)[0]}"
    return replace(plan, why=why, replaces=True)


def _for_wasted_too(snapshot: Snapshot, settings: Settings) -> InstallPlan | None:
    """A driver of all cards, also those that are left out; None: there is none, or no such card.

    An older branch may not run the programs that use the other cards: it must be declared.
    """
    driver, wasted = snapshot.nvidia.driver, wasted_cards(snapshot)
    if not wasted or driver is None:
        return None
    try:
        plan = _packages(snapshot, settings, (*snapshot.nvidia.cards, *wasted))
    except (NoDriverPackagesError, UnknownRepositoryError):
        return None
    is_older = plan.packages is None or plan.packages.branch < driver.branch
    return None if is_older and settings.nvidia_branch is None else plan


def wrong_branch(snapshot: Snapshot, settings: Settings) -> str:
    """Why the driver is not from the declared branch; empty if it is."""
    driver, branch = snapshot.nvidia.driver, settings.nvidia_branch
    if settings.nvidia_driver != "install" or branch is None or driver is None:
        return ""
    return "" if str(driver.branch) == branch else f"driver {driver} is not from branch {branch}"


def reboot_reason(snapshot: Snapshot) -> str:
    """Why a reboot would load the installed driver; empty if it would not, or if the driver is
    loaded already."""
    state, kernels, rival = (
        snapshot.nvidia.diagnosis.state,
        snapshot.kernels,
        snapshot.nvidia.rival,
    )
    if kernels.next and kernels.next not in kernels.nvidia:
        return ""
    if kernels.boot.unknown and set(kernels.installed) - kernels.nvidia.keys():
        return ""
    if blocked_by(snapshot) or unfit_branch(snapshot):
        return ""
    if snapshot.nvidia.installed and not snapshot.nvidia.works and rival:
        return f"{rival.driver} uses the card"
    if state is DriverState.LIBRARY_MISMATCH and mismatch(snapshot).reboot_helps:
        return "another version of its kernel module is loaded"
    if state is DriverState.MODULE_NOT_LOADED:
        futile = wrong_modules(snapshot) or refusal(snapshot)
        return "" if futile else "its kernel module is not loaded"
    if state is DriverState.NO_DEVICES and loads_other_modules(snapshot):
        return wrong_modules(snapshot)
    if (wasted := wasted_cards(snapshot)) and loads_other_modules(snapshot):
        return f"the loaded kernel modules do not drive the {wasted[0]}"
    return ""


def too_old(snapshot: Snapshot, settings: Settings) -> str:
    """Why the driver cannot run the declared CUDA although another would; empty if it can."""
    decision = cuda_decision(snapshot, settings)
    if decision is None or snapshot.nvidia.driver is None or decision.branch is None:
        return ""
    return decision.reason if decision.rule in (Rule.UPGRADE, Rule.DRIVER_UNFIT) else ""


def cuda_decision(snapshot: Snapshot, settings: Settings) -> Decision | None:
    """Whether the declared CUDA runs on this host; None: none is declared, or no card is known.

    A display card beside other cards does not decide.
    """
    driver, cards = snapshot.nvidia.driver, snapshot.nvidia.cards
    if settings.cuda is None or not cards:
        return None
    cuda = CudaVersion.parse(settings.cuda)
    decision = decide(driver, cards, cuda)
    return decision if decision.rule.runs else decide(driver, without_display(cards), cuda)


def _packages(snapshot: Snapshot, settings: Settings, cards: Sequence[Card]) -> InstallPlan:
    if vgpus := snapshot.nvidia.vgpus:
        raise NoDriverPackagesError(f"{', '.join(vgpus)}: {GRID_DRIVER}")
    unknown = snapshot.nvidia.unknown_cards
    if unknown:
        raise NoDriverPackagesError(
            f"gpuhost does not know {', '.join(unknown)}: install the driver by hand"
        )
    if snapshot.nvidia.installed and (not snapshot.nvidia.is_packaged or two_drivers(snapshot)):
        raise NoDriverPackagesError(
            "the installed driver does not come from packages: run nvidia-uninstall first"
        )
    try:
        packages = _choose(snapshot, settings, cards)
    except NoDriverPackagesError:
        # A card for the console must not keep the others from their driver.
        if without_display(cards) == tuple(cards):
            raise
        packages = _choose(snapshot, settings, without_display(cards))
    headers = headers_to_install(snapshot, kernel_to_build_for(snapshot), packages.headers)
    packages = replace(packages, headers=tuple(headers))
    ours = repository_for(snapshot, settings) if settings.nvidia_source == "nvidia" else None
    return InstallPlan("", packages, ours, components_file(snapshot, packages.components))


def _choose(snapshot: Snapshot, settings: Settings, cards: Sequence[Card]) -> DriverPackages:
    choose = nvidia_packages if settings.nvidia_source == "nvidia" else distribution_packages
    kernel = kernel_to_build_for(snapshot)
    try:
        return choose(
            system_of(snapshot),
            cards,
            kernel,
            branch=int(settings.nvidia_branch) if settings.nvidia_branch else None,
            cuda=CudaVersion.parse(settings.cuda) if settings.cuda else None,
            secure_boot=_secure_boot(snapshot),
        )
    except NoDriverPackagesError as error:
        if module_conflict(cards):
            raise
        other = "nvidia" if settings.nvidia_source == "distro" else "distro"
        raise NoDriverPackagesError(f'{error}; try nvidia_source="{other}"') from error


def _secure_boot(snapshot: Snapshot) -> bool:
    try:
        return snapshot.secure_boot.on
    except NotRead:
        return False
