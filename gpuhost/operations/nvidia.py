"""Operations that install and load the NVIDIA driver."""

from __future__ import annotations

from dataclasses import replace

from pyinfra import host
from pyinfra.api import FunctionCommand

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.nvidia.held_packages import OF_DRIVERS, held
from gpuhost.domain.nvidia.kernel import Maker, maker
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.nvidia_reboot import is_this_machine, reboot
from gpuhost.operations.nvidia_record import put_record
from gpuhost.operations.nvidia_settings import Gpu, Source, driver_settings
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.operations.refuse import refuse, tell
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import InstallPlan, install_plan, reboot_reason
from gpuhost.plans.nvidia_kernel import headers_of, why_not_buildable
from gpuhost.plans.nvidia_loading import rivals_to_block
from gpuhost.plans.nvidia_repository import preferences, repository_for
from gpuhost.plans.nvidia_upkeep import (
    BLACKLIST,
    BLACKLIST_TEXT,
    NO_LEGACY_CHECK,
    NO_LEGACY_CHECK_TEXT,
    installation,
)
from gpuhost.remote.apt import (
    CHANGE_HELD,
    LOCK_TIMEOUT_S,
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
# The driver of NVIDIA's installer has no version in dpkg.
UNPACKAGED = "not packaged"


@operation
def archive(
    gpu: Gpu = "auto",
    install: bool = True,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
) -> Commands:
    """
    Enable the archive components that the driver needs (Debian: contrib, non-free,
    non-free-firmware), in a sources file of its own. Run it before `apt.mirror`, so that the mirror
    applies to them too.

    + gpu, install, source, branch, cuda: as in `driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.archive(name="Archive components of the driver")
    """
    settings = driver_settings(gpu, install, source, branch, cuda)
    plan = install_plan(read(settings), settings)
    if plan is None or plan.archive is None:
        host.noop("the driver needs no other archive component")
        return
    yield put(plan.archive.path, plan.archive.content)


@operation
def driver(
    gpu: Gpu = "auto",
    install: bool = True,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    mirror: str | None = None,
    key_fingerprint: str | None = None,
    adopt: bool = False,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Install a driver that supports the cards. A working driver is replaced only if it is not of the
    declared branch or cannot run the declared CUDA version; while containers run, only with
    `adopt`. This operation never reboots: `load` does.

    + gpu: "none": do nothing; "auto" and "required": the cards on the PCI bus decide
    + install: False: only check
    + source: "distro" (the distribution's packages) or "nvidia" (NVIDIA's repository)
    + branch: "580"; None: the branch with the longest support that fits cards and CUDA
    + cuda: the CUDA version that it must run, "12.1"; None: any
    + mirror: a mirror of NVIDIA's repository: the directory that contains debian12 and so on
    + key_fingerprint: the only key that may sign the repository; None: NVIDIA's published key
    + adopt: replace the driver while containers run
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.driver(name="NVIDIA driver", source="nvidia", branch="580")
    """
    settings = driver_settings(
        gpu,
        install,
        source,
        branch,
        cuda,
        nvidia_mirror=mirror,
        nvidia_key_fingerprint=key_fingerprint,
        adopt=adopt,
        apt_lock_timeout_s=lock_timeout_s,
    )
    snapshot = read(settings)
    plan = install_plan(snapshot, settings)
    if plan is None:
        yield from _repair(snapshot, settings)
        return
    running = snapshot.docker.names(running=True)
    if plan.refusal:
        refuse("nvidia", f"{plan.why}; no driver can be installed: {plan.refusal}")
    elif plan.replaces and running and not adopt:
        refuse("nvidia", f"{plan.why}; replacing it breaks {', '.join(running)}: set adopt=True")
    else:
        yield from _install(snapshot, plan, lock_timeout_s, adopt=adopt)


def _install(
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


def _repair(snapshot: Snapshot, settings: Settings) -> Commands:
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


@operation
def load(
    gpu: Gpu = "auto",
    install: bool = True,
    reboot_when_needed: bool = False,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    adopt: bool = False,
) -> Commands:
    """
    Ensure that the installed driver is loaded. If that needs a reboot, print so, and reboot only
    with `reboot_when_needed`: then wait for the host and for the driver. Running containers prevent
    the reboot, except with `adopt`. One installation causes at most one reboot.

    + reboot_when_needed: reboot the host
    + adopt: reboot even while containers run
    + gpu, install, source, branch, cuda: as in `driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.load(name="NVIDIA driver loaded", reboot_when_needed=True)
    """
    settings = driver_settings(
        gpu,
        install,
        source,
        branch,
        cuda,
        nvidia_reboot=reboot_when_needed and install,
        adopt=adopt,
    )
    snapshot = read(settings)
    reason = "" if reason_without_driver(snapshot, settings) else reboot_reason(snapshot)
    if planned_packages(snapshot, settings):
        reason = "a new driver may need it"
    if not reason or not install:
        host.noop("no reboot is needed for the driver")
    elif why_not := _why_not_rebooted(snapshot, settings):
        refuse("nvidia", f"a reboot is needed ({reason}): {why_not}")
    else:
        record = replace(
            snapshot.nvidia.record, rebooted_for=installation(snapshot.nvidia) or UNPACKAGED
        )
        yield put_record(record)
        yield FunctionCommand(reboot, (reason,), {})


def _why_not_rebooted(snapshot: Snapshot, settings: Settings) -> str:
    """Why the host is not rebooted; empty if it is."""
    running = snapshot.docker.names(running=True)
    if not settings.nvidia_reboot:
        return "reboot the host, or set nvidia_reboot=True"
    if is_this_machine(host):
        return "gpuhost runs on this machine: reboot it yourself, then run the deploy again"
    if finding_of("nvidia.secure_boot", snapshot, settings).status is Status.FAIL:
        return "Secure Boot would still reject the modules: see nvidia.secure_boot"
    if running and not settings.adopt:
        return f"it would stop {', '.join(running)}: set adopt=True"
    if snapshot.nvidia.record.rebooted_for == (installation(snapshot.nvidia) or UNPACKAGED):
        return "an earlier reboot for this driver did not help: look for NVRM in dmesg"
    return ""


def planned_packages(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """The packages that this run will install, known only while it is planned."""
    plan = None if executing() else install_plan(snapshot, settings)
    return held(plan.packages.packages) if plan and plan.packages else ()
