"""Operations that install and load the NVIDIA driver."""

from __future__ import annotations

from dataclasses import replace

from pyinfra import host
from pyinfra.api import FunctionCommand

from gpuhost.checks.finding import Status
from gpuhost.checks.registry import finding_of
from gpuhost.domain.nvidia.held_packages import held
from gpuhost.operations.nvidia_install import install_packages, repair
from gpuhost.operations.nvidia_reboot import is_this_machine, reboot
from gpuhost.operations.nvidia_record import put_record
from gpuhost.operations.nvidia_settings import Gpu, Source, driver_settings
from gpuhost.operations.reading import Commands, executing, operation, read
from gpuhost.operations.refuse import refuse, tell
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia import install_plan, plan_for_wasted, reboot_reason
from gpuhost.plans.nvidia_upkeep import (
    installation,
)
from gpuhost.remote.apt import (
    LOCK_TIMEOUT_S,
)
from gpuhost.remote.commands import put
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

# The driver of NVIDIA's installer has no version in dpkg.
UNPACKAGED = "not packaged"


@operation
def archive(
    gpu: Gpu = "auto",
    install: bool = True,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    adopt: bool = False,
) -> Commands:
    """
    Enable the archive components that the driver needs (Debian: contrib, non-free,
    non-free-firmware), in a sources file of its own. Run it before `apt.mirror`, so that the mirror
    applies to them too.

    + gpu, install, source, branch, cuda, adopt: as in `driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia
        nvidia.archive(name="Archive components of the driver")
    """
    settings = driver_settings(gpu, install, source, branch, cuda, adopt=adopt)
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
    declared branch, cannot run the declared CUDA version, or leaves out a card that other kernel
    modules or a newer branch would drive too; while containers run, only with `adopt`. This
    operation never reboots: `load` does.

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
        if install and not adopt and (other := plan_for_wasted(snapshot, settings)):
            tell("nvidia", f"not changed: {other.why}; set adopt=True while containers run")
        yield from repair(snapshot, settings)
        return
    running = snapshot.docker.names(running=True)
    if plan.refusal:
        refuse("nvidia", f"{plan.why}; no driver can be installed: {plan.refusal}")
    elif plan.replaces and running and not adopt:
        refuse("nvidia", f"{plan.why}; replacing it breaks {', '.join(running)}: set adopt=True")
    else:
        yield from install_packages(snapshot, plan, lock_timeout_s, adopt=adopt)


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
