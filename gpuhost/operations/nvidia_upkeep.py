"""What keeps a working driver working: packages on hold, Fabric Manager, persistence."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace
from typing import Literal

from pyinfra import host

from gpuhost.checks.registry import failing
from gpuhost.domain.nvidia.driver_packages import NoDriverPackagesError, fabric_manager_package
from gpuhost.operations.nvidia import OURS, coming
from gpuhost.operations.nvidia_asked import asked_for
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_repository import system_of
from gpuhost.plans.nvidia_upkeep import (
    EXCLUSIONS_TEXT,
    FABRIC_UNIT,
    OWN_UNIT,
    PERSISTENCE_TEXT,
    packages_to_hold,
)
from gpuhost.remote.commands import apt_install, apt_update, put, refuse, remove, run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import EXCLUSIONS, NVIDIA_RECORD, PERSISTENCE_UNIT


@operation
def hold(
    gpu: Literal["auto", "required", "none"] = "auto",
    enabled: bool = True,
    install: bool = False,
    source: Literal["distro", "nvidia"] = "distro",
    branch: str | None = None,
    cuda: str | None = None,
) -> Commands:
    """
    Keep the driver's packages at their version: an upgrade under running containers breaks them.
    apt goes on with everything else, and gpuhost's own installations change them all the same.

    + enabled: False: release what gpuhost put on hold
    + gpu, install, source, branch, cuda: as for `nvidia.driver`; what it is about to install is
      held too

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.hold(name="NVIDIA packages on hold")
    """
    settings = asked_for(gpu, install, source, branch, cuda, nvidia_hold=enabled)
    snapshot = read(settings)
    expected = coming(snapshot, settings) if enabled else ()
    if not _fails("nvidia.hold", snapshot, settings) and not expected:
        host.noop("NVIDIA's packages are as declared")
    elif enabled:
        loose = [package.name for package in packages_to_hold(snapshot.nvidia) if not package.hold]
        if loose or expected:
            yield from _keep(snapshot, loose or expected)
        yield put(EXCLUSIONS, EXCLUSIONS_TEXT)
    else:
        yield from _release(snapshot)


def _fails(id: str, snapshot: Snapshot, settings: Settings) -> bool:
    return id in {finding.id for finding in failing(snapshot, settings, "nvidia")}


def _keep(snapshot: Snapshot, packages: Iterable[str]) -> Commands:
    """At their version, and known as held by gpuhost."""
    yield run("apt-mark", "hold", *packages)
    names = tuple(sorted({*snapshot.nvidia.record.held, *packages}))
    yield put(NVIDIA_RECORD, replace(snapshot.nvidia.record, held=names).text)


def _release(snapshot: Snapshot) -> Commands:
    ours = [name for name in snapshot.nvidia.record.held if name in snapshot.nvidia.packages]
    if ours:
        yield run("apt-mark", "unhold", *ours)
    yield remove(EXCLUSIONS)
    yield put(NVIDIA_RECORD, replace(snapshot.nvidia.record, held=()).text)


@operation
def fabric_manager(
    gpu: Literal["auto", "required", "none"] = "auto",
    install: bool = True,
    source: Literal["distro", "nvidia"] = "distro",
    hold: bool = True,
    apt_lock_timeout_s: int = 300,
) -> Commands:
    """
    Have Fabric Manager of exactly the driver's version, running, where there is NVSwitch.

    + gpu, install, source: as for `nvidia.driver`
    + hold: keep it at its version
    + apt_lock_timeout_s: how long to wait for another apt, in seconds

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.fabric_manager(name="NVIDIA Fabric Manager", source="nvidia")
    """
    settings = asked_for(gpu, install, source, apt_lock_timeout_s=apt_lock_timeout_s)
    snapshot = read(settings)
    is_wrong = _fails("nvidia.fabric_manager", snapshot, settings)
    version, present = snapshot.nvidia.driver, snapshot.nvidia.fabric_manager
    if not is_wrong or not install or version is None:
        host.noop("Fabric Manager is as it should be, or not needed")
        return
    if present is None or present.driver != version:
        try:
            package = fabric_manager_package(system_of(snapshot), source, version)
        except NoDriverPackagesError as error:
            refuse("nvidia", str(error))
            return
        wanted = f"{package}={version}-*"
        yield apt_update(lock_timeout=apt_lock_timeout_s)
        yield apt_install([wanted], OURS, "--allow-downgrades", lock_timeout=apt_lock_timeout_s)
        if hold:
            yield from _keep(snapshot, [package])
    yield run("systemctl", "enable", FABRIC_UNIT)
    yield run("systemctl", "restart", FABRIC_UNIT, seconds=120)


@operation
def persistence(
    gpu: Literal["auto", "required", "none"] = "auto",
    enabled: bool = True,
    install: bool = False,
    source: Literal["distro", "nvidia"] = "distro",
    branch: str | None = None,
    cuda: str | None = None,
) -> Commands:
    """
    Keep the driver loaded while nothing uses the cards, now and after a reboot: without that each
    start of CUDA waits for it, and settings of the cards are lost.

    + enabled: False: take gpuhost's unit away
    + gpu, install, source, branch, cuda: as for `nvidia.driver`

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.persistence(name="NVIDIA persistence mode")
    """
    settings = asked_for(gpu, install, source, branch, cuda, nvidia_persistence=enabled)
    snapshot = read(settings)
    due = enabled and _is_due(snapshot, settings)
    if not _fails("nvidia.persistence", snapshot, settings) and not due:
        host.noop("persistence is as declared, or there is no driver to keep loaded")
    elif enabled:
        yield put(PERSISTENCE_UNIT, PERSISTENCE_TEXT)
        yield run("systemctl", "daemon-reload")
        yield run("systemctl", "enable", OWN_UNIT)
        if snapshot.nvidia.works:
            yield run("systemctl", "restart", OWN_UNIT, seconds=180)
    else:
        yield from _without_persistence()


def _is_due(snapshot: Snapshot, settings: Settings) -> bool:
    """A driver that gpuhost installs gets the unit at once: the boot that loads it has it."""
    ours = bool(snapshot.nvidia.record.packages) and not snapshot.nvidia.unit(OWN_UNIT).enabled
    return not reason_without_driver(snapshot, settings) and (
        ours or bool(coming(snapshot, settings))
    )


def _without_persistence() -> Commands:
    yield run("systemctl", "disable", OWN_UNIT)
    yield remove(PERSISTENCE_UNIT)
    yield run("systemctl", "daemon-reload")


@operation
def removed() -> Commands:
    """
    Take back what gpuhost set: holds, exclusions from upgrades, its persistence unit. The driver
    and where it came from stay.

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.removed(name="NVIDIA settings removed")
    """
    snapshot = read(Settings())
    has_unit = snapshot.probes.file(PERSISTENCE_UNIT) is not None
    has_holds = bool(snapshot.nvidia.record.held) or snapshot.probes.file(EXCLUSIONS) is not None
    if not has_unit and not has_holds:
        host.noop("gpuhost set nothing of NVIDIA's")
        return
    if has_holds:
        yield from _release(snapshot)
    if has_unit:
        yield from _without_persistence()
