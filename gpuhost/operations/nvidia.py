"""The write side of the NVIDIA driver: installed, and loaded."""

from __future__ import annotations

from dataclasses import replace
from typing import Literal

from pyinfra import host
from pyinfra.api import FunctionCommand

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.apt.repository import Repository
from gpuhost.domain.nvidia.driver_packages import held
from gpuhost.operations import repository as apt_repositories
from gpuhost.operations.nvidia_asked import asked_for
from gpuhost.operations.nvidia_reboot import is_this_machine, reboot
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import InstallPlan, install_plan, reboot_reason
from gpuhost.plans.nvidia_repository import preferences, repository_for
from gpuhost.plans.nvidia_upkeep import BLACKLIST, BLACKLIST_TEXT, installation
from gpuhost.remote.commands import apt_install, apt_update, put, refuse, run, script
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import NVIDIA_RECORD, PREFERENCES

# Modules are built for every kernel; slow processors take minutes for each.
LOAD_TIMEOUT = 900
BUILD_TIMEOUT = 1800
# An installer's driver has no version that dpkg knows.
UNPACKAGED = "not packaged"
# Packages on hold are ours to change: they are held again afterwards.
OURS = "--allow-change-held-packages"


@operation
def archive(
    gpu: Literal["auto", "required", "none"] = "auto",
    install: bool = True,
    source: Literal["distro", "nvidia"] = "distro",
    branch: str | None = None,
    cuda: str | None = None,
) -> Commands:
    """
    Switch on what the driver needs of the distribution's own archive (Debian: contrib, non-free,
    non-free-firmware), in a file beside its sources. Before a mirror takes over, so that these
    come from it too.

    + gpu, install, source, branch, cuda: as for `driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.archive(name="Archive of the driver")
    """
    settings = asked_for(gpu, install, source, branch, cuda)
    plan = install_plan(read(settings), settings)
    if plan is None or plan.archive is None:
        host.noop("the driver needs nothing more of the archive")
        return
    yield put(plan.archive.path, plan.archive.content)


@operation
def driver(
    gpu: Literal["auto", "required", "none"] = "auto",
    install: bool = True,
    source: Literal["distro", "nvidia"] = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    mirror: str | None = None,
    key_fingerprint: str | None = None,
    adopt: bool = False,
    apt_lock_timeout_s: int = 300,
) -> Commands:
    """
    Have a driver that fits the cards. One that works stays as it is, unless it is not of the
    declared branch or cannot run the declared CUDA; under running containers only with adopt.
    Never reboots: `loaded` does.

    + gpu: "none": nothing is done; otherwise what is on the PCI bus decides
    + install: False: only check
    + source: packages of the distribution, or of NVIDIA's own repository
    + branch: "580"; None: the one with the longest support that fits cards and CUDA
    + cuda: the CUDA that it has to run, "12.1"; None: any
    + mirror: of NVIDIA's repository, the directory that holds debian12 and so on
    + key_fingerprint: the only key that may sign it; None: the one published for the release
    + adopt: replace a driver under running containers
    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.driver(name="NVIDIA driver", source="nvidia", branch="580")
    """
    settings = asked_for(
        gpu,
        install,
        source,
        branch,
        cuda,
        nvidia_mirror=mirror,
        nvidia_key_fingerprint=key_fingerprint,
        adopt=adopt,
        apt_lock_timeout_s=apt_lock_timeout_s,
    )
    snapshot = read(settings)
    plan = install_plan(snapshot, settings)
    if plan is None:
        yield from _mend(snapshot, settings)
        return
    running = [container.name for container in snapshot.docker.running_containers]
    if plan.refusal:
        refuse("nvidia", f"{plan.why}, and none can be installed: {plan.refusal}")
    elif plan.replaces and running and not adopt:
        refuse("nvidia", f"{plan.why}; replacing it breaks {', '.join(running)}: set adopt=True")
    else:
        yield from _install(snapshot, plan, apt_lock_timeout_s)


def _install(snapshot: Snapshot, plan: InstallPlan, lock_timeout: int) -> Commands:
    packages = plan.packages
    if packages is None:
        return
    if plan.repository:
        yield from _with_repository(snapshot, plan.repository)
    if plan.archive:
        yield put(plan.archive.path, plan.archive.content)
    yield put(BLACKLIST, BLACKLIST_TEXT)
    yield put(NVIDIA_RECORD, replace(snapshot.nvidia.record, packages=packages.packages).text)
    yield apt_update(lock_timeout=lock_timeout)
    options = (OURS, "--allow-downgrades") if plan.replaces else (OURS,)
    if packages.pin:
        yield apt_install([packages.pin], *options, lock_timeout=lock_timeout)
    chosen = [*packages.headers, *packages.packages]
    yield apt_install(chosen, *options, lock_timeout=lock_timeout)
    yield script("nvidia_load.sh", seconds=LOAD_TIMEOUT)


def _with_repository(snapshot: Snapshot, theirs: Repository) -> Commands:
    """NVIDIA's repository, and its packages before the distribution's."""
    clashes = [path for path in theirs.clashes if snapshot.paths.get(path)]
    yield from apt_repositories.add(theirs, None, clashes)
    yield put(PREFERENCES, preferences())


def _mend(snapshot: Snapshot, settings: Settings) -> Commands:
    """What an installed driver lacks to be loaded at the next boot, and to be kept up to date."""
    if settings.nvidia_driver != "install" or reason_without_driver(snapshot, settings):
        host.noop("no driver has to be installed")
        return
    kernels = snapshot.kernels
    release = kernels.next if kernels.next not in kernels.nvidia else None
    of_nouveau = finding_of("nvidia.nouveau", snapshot, settings)
    leaves_it = of_nouveau.status not in (Status.FAIL, Status.WARN)
    open_to_nouveau = not leaves_it and not kernels.nouveau_off
    lost_repository = finding_of("nvidia.repository", snapshot, settings).status is Status.FAIL
    if not release and not open_to_nouveau and not lost_repository:
        host.noop("no driver has to be installed")
        return
    if lost_repository:
        yield from _with_repository(snapshot, repository_for(snapshot, settings))
    if open_to_nouveau:
        yield put(BLACKLIST, BLACKLIST_TEXT)
        yield script("nvidia_load.sh", seconds=LOAD_TIMEOUT)
    if release and "dkms" in snapshot.nvidia.packages:
        wait = settings.apt_lock_timeout_s
        yield apt_update(lock_timeout=wait)
        yield apt_install([f"linux-headers-{release}"], lock_timeout=wait)
        yield run("dkms", "autoinstall", "-k", release, seconds=BUILD_TIMEOUT)
    elif release:
        refuse("nvidia", f"kernel {release} has no NVIDIA module, and no DKMS is there to build it")


@operation
def loaded(
    gpu: Literal["auto", "required", "none"] = "auto",
    install: bool = True,
    reboot_when_needed: bool = False,
    source: Literal["distro", "nvidia"] = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    adopt: bool = False,
) -> Commands:
    """
    Have the installed driver loaded. Where that takes a reboot it says so, and reboots only when
    told to: then it waits for the host and for the driver. Containers that run keep it from
    rebooting, except with adopt. It reboots once for one installation, not at every run.

    + reboot_when_needed: reboot the host
    + adopt: also while containers run
    + gpu, install, source, branch, cuda: as for `driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.loaded(name="NVIDIA driver loaded", reboot_when_needed=True)
    """
    settings = asked_for(
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
    if coming(snapshot, settings):
        reason = "a new driver may take one"
    if not reason or not install:
        host.noop("no reboot is needed for the driver")
    elif hindrance := _no_reboot(snapshot, settings):
        refuse("nvidia", f"a reboot is due ({reason}): {hindrance}")
    else:
        record = replace(
            snapshot.nvidia.record, rebooted_for=installation(snapshot.nvidia) or UNPACKAGED
        )
        yield put(NVIDIA_RECORD, record.text)
        yield FunctionCommand(reboot, (reason,), {})


def _no_reboot(snapshot: Snapshot, settings: Settings) -> str:
    """Why the host is not rebooted; empty if it is."""
    running = [container.name for container in snapshot.docker.running_containers]
    if not settings.nvidia_reboot:
        return "reboot the host, or set nvidia_reboot=True"
    if is_this_machine(host):
        return "gpuhost runs on this machine: reboot it by hand, and run the deploy again"
    if finding_of("nvidia.secure_boot", snapshot, settings).status is Status.FAIL:
        return "Secure Boot refuses the modules after it too: see nvidia.secure_boot"
    if running and not settings.adopt:
        return f"it would stop {', '.join(running)}: set adopt=True"
    if snapshot.nvidia.record.rebooted_for == (installation(snapshot.nvidia) or UNPACKAGED):
        return "it was rebooted for this driver before, and that did not help: read dmesg for NVRM"
    return ""


def coming(snapshot: Snapshot, settings: Settings) -> tuple[str, ...]:
    """What this run is about to install, while it is planned."""
    plan = None if executing() else install_plan(snapshot, settings)
    return held(plan.packages.packages) if plan and plan.packages else ()
