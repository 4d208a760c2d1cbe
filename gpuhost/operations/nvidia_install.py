"""Install the packages of a driver, and repair what an installed one needs."""

from __future__ import annotations

from dataclasses import replace

from pyinfra import host

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.nvidia.held_packages import OF_DRIVERS
from gpuhost.domain.nvidia.kernel import Maker, maker
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.nvidia_record import put_record
from gpuhost.operations.reading import Commands
from gpuhost.operations.refuse import refuse, tell
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import InstallPlan
from gpuhost.plans.nvidia_kernel import headers_of, why_not_buildable
from gpuhost.plans.nvidia_loading import rivals_to_block
from gpuhost.plans.nvidia_repository import preferences, repository_for
from gpuhost.plans.nvidia_upkeep import (
    BLACKLIST,
    BLACKLIST_TEXT,
    NO_LEGACY_CHECK,
    NO_LEGACY_CHECK_TEXT,
)
from gpuhost.remote.apt import (
    CHANGE_HELD,
    apt_install,
    apt_update,
    apt_update_install,
)
from gpuhost.remote.commands import put, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import PREFERENCES

# Modules are built for every kernel; a slow processor needs minutes for each.
LOAD_SECONDS = 900
BUILD_SECONDS = 1800


def install_packages(
    snapshot: Snapshot, plan: InstallPlan, lock_timeout_s: int, *, adopt: bool
) -> Commands:
    packages = plan.packages
    if packages is None:
        return
    if plan.replaces:
        tell("nvidia", f"replaces driver {snapshot.nvidia.driver or snapshot.nvidia.on_disk}")
    if plan.repository:
        yield from _add_repository(snapshot, plan.repository, adopt=adopt)
    if plan.archive:
        yield put(plan.archive.path, plan.archive.content)
    yield put(BLACKLIST, BLACKLIST_TEXT)
    if snapshot.nvidia.left_out and plan.repository is None and _is_debian(snapshot):
        yield put(NO_LEGACY_CHECK, NO_LEGACY_CHECK_TEXT)
        yield run("debconf-set-selections", NO_LEGACY_CHECK)
    yield put_record(replace(snapshot.nvidia.record, packages=packages.packages))
    yield apt_update(optional_archives(snapshot, plan.repository), lock_timeout_s=lock_timeout_s)
    options = (CHANGE_HELD, "--allow-downgrades") if plan.replaces else (CHANGE_HELD,)
    # The pin first: it decides the versions of the others.
    for names in ([packages.pin] if packages.pin else [], [*packages.headers, *packages.packages]):
        if names:
            yield apt_install(names, *options, replaces=OF_DRIVERS, lock_timeout_s=lock_timeout_s)
    yield script("nvidia_load.sh", seconds=LOAD_SECONDS)


def _is_debian(snapshot: Snapshot) -> bool:
    return snapshot.system.distribution == "debian"


def _add_repository(snapshot: Snapshot, repository: Repository, *, adopt: bool) -> Commands:
    """Add NVIDIA's repository, and prefer its packages over the distribution's."""
    yield from apt_repositories.add(repository, snapshot, adopt=adopt)
    yield put(PREFERENCES, preferences())


def repair(snapshot: Snapshot, settings: Settings) -> Commands:
    """Restore what an installed driver needs to load at the next boot, and to be updated."""
    if settings.nvidia_driver != "install" or reason_without_driver(snapshot, settings):
        host.noop("no driver has to be installed")
        return
    kernels = snapshot.kernels
    complete = kernels.nvidia.keys() - kernels.without_uvm
    kernel = kernels.next if kernels.next not in complete else None
    rival_may_load = rivals_to_block(snapshot)
    repository_is_missing = (
        finding_of("nvidia.repository", snapshot, settings).status is Status.FAIL
    )
    if not kernel and not rival_may_load and not repository_is_missing:
        host.noop("no driver has to be installed")
        return
    if repository_is_missing:
        repository = repository_for(snapshot, settings)
        yield from _add_repository(snapshot, repository, adopt=settings.adopt)
    if rival_may_load:
        yield put(BLACKLIST, BLACKLIST_TEXT)
        yield script("nvidia_load.sh", seconds=LOAD_SECONDS)
    if kernel:
        yield from _build(snapshot, settings, kernel)


def _build(snapshot: Snapshot, settings: Settings, kernel: str) -> Commands:
    """Build the driver's modules for a kernel."""
    why_not = why_not_buildable(snapshot, kernel)
    if "dkms" not in snapshot.nvidia.packages:
        why_not = "DKMS is not installed"
    if why_not:
        refuse("nvidia", f"kernel {kernel} has no NVIDIA module, and {why_not}")
        return
    # Also when they are there: apt finishes what a failed build has left half configured.
    if maker(kernel) is not Maker.OTHER:
        yield from apt_update_install(
            headers_of(snapshot, kernel),
            optional=optional_archives(snapshot),
            lock_timeout_s=settings.apt_lock_timeout_s,
        )
    yield script("nvidia_build.sh", kernel, seconds=BUILD_SECONDS)
