"""Operations that keep a working driver working: hold, Fabric Manager, persistence mode."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from pyinfra import host

from gpuhost.domain.nvidia.driver_choice import NoDriverPackagesError
from gpuhost.domain.nvidia.fabric_manager import fabric_manager_package
from gpuhost.domain.nvidia.held_packages import OF_DRIVERS
from gpuhost.operations.findings import failing_ids
from gpuhost.operations.nvidia import planned_packages
from gpuhost.operations.nvidia_record import put_record
from gpuhost.operations.nvidia_settings import Gpu, Source, driver_settings
from gpuhost.operations.reading import Commands, operation, read
from gpuhost.operations.refuse import refuse
from gpuhost.operations.units import (
    enable_missing,
    refuse_files,
    remove_units,
    start_at_boot,
    write_files,
)
from gpuhost.plans.apt_archives import optional_archives
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.host_file import HostFile
from gpuhost.plans.nvidia_repository import system_of
from gpuhost.plans.nvidia_upkeep import (
    EXCLUSIONS_TEXT,
    FABRIC_UNIT,
    OWN_UNIT,
    PERSISTENCE_TEXT,
    packages_to_hold,
)
from gpuhost.remote.apt import CHANGE_HELD, LOCK_TIMEOUT_S, apt_update_install
from gpuhost.remote.commands import put, remove, run
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import EXCLUSIONS, PERSISTENCE_UNIT


@operation
def hold(
    gpu: Gpu = "auto",
    install: bool = False,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    present: bool = True,
) -> Commands:
    """
    Hold the driver's packages at their version: an upgrade breaks running containers. Other
    packages are still upgraded, and gpuhost itself can still change the held ones.

    + gpu, install, source, branch, cuda: as in `nvidia.driver`; the packages that it will install
      are held too
    + present: False: unhold the packages that gpuhost holds

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.hold(name="NVIDIA packages on hold")
    """
    settings = driver_settings(gpu, install, source, branch, cuda, nvidia_hold=present)
    snapshot = read(settings)
    if not present:
        yield from _unhold(snapshot)
        return
    planned = planned_packages(snapshot, settings)
    if "nvidia.hold" not in failing_ids(snapshot, settings, "nvidia") and not planned:
        host.noop("NVIDIA's packages are as declared")
        return
    unheld = [package.name for package in packages_to_hold(snapshot.nvidia) if not package.hold]
    if unheld or planned:
        yield from _hold(snapshot, unheld or planned)
    yield put(EXCLUSIONS, EXCLUSIONS_TEXT)


def _hold(snapshot: Snapshot, packages: Iterable[str]) -> Commands:
    """Hold packages, and record that gpuhost holds them."""
    yield run("apt-mark", "hold", *packages)
    names = tuple(sorted({*snapshot.nvidia.record.held, *packages}))
    yield put_record(replace(snapshot.nvidia.record, held=names))


def _unhold(snapshot: Snapshot) -> Commands:
    if not snapshot.nvidia.record.held and snapshot.probes.file(EXCLUSIONS) is None:
        host.noop("gpuhost holds no NVIDIA package")
        return
    ours = [name for name in snapshot.nvidia.record.held if name in snapshot.nvidia.packages]
    if ours:
        yield run("apt-mark", "unhold", *ours)
    yield remove(EXCLUSIONS)
    yield put_record(replace(snapshot.nvidia.record, held=()))


@operation
def fabric_manager(
    gpu: Gpu = "auto",
    install: bool = True,
    source: Source = "distro",
    hold: bool = True,
    lock_timeout_s: int = LOCK_TIMEOUT_S,
) -> Commands:
    """
    Ensure that Fabric Manager runs, at exactly the driver's version, on hosts with NVSwitch.

    + gpu, install, source: as in `nvidia.driver`
    + hold: hold its package at its version
    + lock_timeout_s: seconds to wait for another apt process

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.fabric_manager(name="NVIDIA Fabric Manager", source="nvidia")
    """
    settings = driver_settings(gpu, install, source, apt_lock_timeout_s=lock_timeout_s)
    snapshot = read(settings)
    is_wrong = "nvidia.fabric_manager" in failing_ids(snapshot, settings, "nvidia")
    version, installed = snapshot.nvidia.driver, snapshot.nvidia.fabric_manager
    if not is_wrong or not install or version is None:
        host.noop("Fabric Manager runs, or is not needed")
        return
    if installed is None or installed.driver != version:
        try:
            package = fabric_manager_package(system_of(snapshot), source, version)
        except NoDriverPackagesError as error:
            refuse("nvidia", str(error))
            return
        yield from apt_update_install(
            [f"{package}={version}-*"],
            CHANGE_HELD,
            "--allow-downgrades",
            optional=optional_archives(snapshot),
            replaces=OF_DRIVERS,
            lock_timeout_s=lock_timeout_s,
        )
        if hold:
            yield from _hold(snapshot, [package])
    yield from start_at_boot(snapshot, FABRIC_UNIT)
    yield run("systemctl", "restart", FABRIC_UNIT, seconds=120)


@operation
def persistence(
    gpu: Gpu = "auto",
    install: bool = False,
    source: Source = "distro",
    branch: str | None = None,
    cuda: str | None = None,
    adopt: bool = False,
    present: bool = True,
) -> Commands:
    """
    Keep the driver loaded while no process uses the cards, now and after a reboot: otherwise every
    start of CUDA waits for it, and settings of the cards are lost.

    + gpu, install, source, branch, cuda: as in `nvidia.driver`
    + adopt: reload systemd even if that takes the GPUs from running containers
    + present: False: remove gpuhost's unit

    **Example:**

    .. code:: python

        from gpuhost.operations import nvidia_upkeep
        nvidia_upkeep.persistence(name="NVIDIA persistence mode")
    """
    settings = driver_settings(gpu, install, source, branch, cuda, nvidia_persistence=present)
    snapshot = read(settings)
    if not present:
        yield from _remove_persistence(snapshot)
        return
    is_wrong = "nvidia.persistence" in failing_ids(snapshot, settings, "nvidia")
    if not is_wrong and not _is_needed_at_boot(snapshot, settings):
        host.noop("persistence is as declared, or there is no driver to keep loaded")
        return
    is_written = snapshot.probes.file(PERSISTENCE_UNIT) == PERSISTENCE_TEXT
    files = [] if is_written else [HostFile(PERSISTENCE_UNIT, PERSISTENCE_TEXT)]
    if refuse_files("nvidia", snapshot, [file.path for file in files], adopt=adopt):
        return
    yield from write_files(snapshot, files)
    yield from enable_missing(snapshot, files, OWN_UNIT)
    if snapshot.nvidia.works:
        yield run("systemctl", "restart", OWN_UNIT, seconds=180)


def _is_needed_at_boot(snapshot: Snapshot, settings: Settings) -> bool:
    """Whether gpuhost installs the driver: the unit must exist at the boot that loads it."""
    if reason_without_driver(snapshot, settings):
        return False
    ours = bool(snapshot.nvidia.record.packages) and not snapshot.nvidia.unit(OWN_UNIT).enabled
    return ours or bool(planned_packages(snapshot, settings))


def _remove_persistence(snapshot: Snapshot) -> Commands:
    if snapshot.probes.file(PERSISTENCE_UNIT) is None:
        host.noop("gpuhost has no persistence unit on this host")
        return
    yield from remove_units(snapshot, [PERSISTENCE_UNIT], OWN_UNIT)
