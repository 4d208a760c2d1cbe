"""What keeps the driver working: persistence mode, Fabric Manager, packages on hold."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.nvidia.fabric_manager import FabricManager, fabric_manager
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_upkeep import (
    DAEMON,
    EXCLUSIONS_TEXT,
    FABRIC_UNIT,
    OWN_UNIT,
    PERSISTENCE_TEXT,
    packages_to_hold,
)
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.nvidia import EXCLUSIONS, PERSISTENCE_UNIT

# NVIDIA Fabric Manager user guide, "HGX B200 and B300": their NVSwitches are behind adapters.
BY_INFINIBAND = (
    "modprobe ib_umad (on Ubuntu from linux-modules-extra of the running kernel), and name it in "
    "/etc/modules-load.d; apt-get install nvlsm; "
)


@check("nvidia.persistence", "The driver stays loaded while nothing uses the cards.")
def persistence(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    unit_text = snapshot.probes.file(PERSISTENCE_UNIT)
    if not settings.nvidia_persistence:
        if unit_text:
            return fail("no unit of gpuhost", f"{PERSISTENCE_UNIT} exists", fix=AGAIN)
        return skip("nvidia_persistence is False")
    if not snapshot.nvidia.works:
        return later("the driver does not answer")
    off = [str(gpu.index) for gpu in snapshot.nvidia.answering if gpu.persistence is False]
    if off:
        return fail("on", f"off on card {', '.join(off)}", fix="nvidia-smi -pm 1")
    daemon, own_unit = snapshot.nvidia.unit(DAEMON), snapshot.nvidia.unit(OWN_UNIT)
    if unit_text and unit_text != PERSISTENCE_TEXT:
        return fail("as gpuhost wrote it", f"{PERSISTENCE_UNIT} was changed", fix=AGAIN)
    if (unit_text and own_unit.enabled) or (daemon.active and daemon.enabled):
        return ok("on")
    return fail("on at boot too", "on, until the next boot", fix=AGAIN)


@check(
    "nvidia.fabric_manager",
    "With NVSwitch, Fabric Manager runs in exactly the driver's version.",
)
def fabric(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    need = fabric_manager(snapshot.nvidia.devices)
    if need is FabricManager.NOT_NEEDED:
        return skip("no NVSwitch on the bus")
    if not snapshot.nvidia.works:
        return later("the driver does not answer")
    package, unit = snapshot.nvidia.fabric_manager, snapshot.nvidia.unit(FABRIC_UNIT)
    expected = f"Fabric Manager {snapshot.nvidia.driver}, running"
    judge = warn if need is FabricManager.UNDECIDED and package is None else fail
    fix = AGAIN if settings.nvidia_driver == "install" else 'set nvidia_driver="install"'
    if package is None:
        return judge(expected, "not installed: CUDA fails on every card (error 802)", fix=fix)
    if package.driver != snapshot.nvidia.driver:
        return fail(expected, f"version {package.driver or package.version}", fix=fix)
    if not unit.active or not unit.enabled:
        return fail(
            expected,
            "does not run" if not unit.active else "does not start at boot",
            fix=f"{BY_INFINIBAND if need is FabricManager.UNDECIDED else ''}"
            f"systemctl enable --now {FABRIC_UNIT}; journalctl -u {FABRIC_UNIT}",
        )
    return ok(f"{package.driver}, running")


@check("nvidia.hold", "The driver's packages are on hold, and excluded from unattended upgrades.")
def hold(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings):
        return skip(reason)
    if not settings.nvidia_hold:
        held = [name for name in snapshot.nvidia.record.held if name in snapshot.nvidia.packages]
        if held or snapshot.probes.file(EXCLUSIONS):
            return fail("not held by gpuhost", f"on hold: {' '.join(held)}", fix=AGAIN)
        return skip("nvidia_hold is False")
    packages = packages_to_hold(snapshot.nvidia)
    if not packages:
        return skip("no NVIDIA package is installed")
    loose = [package.name for package in packages if not package.hold]
    if loose:
        return fail("on hold", f"not on hold: {' '.join(loose)}", fix=f"{AGAIN} (apt-mark hold)")
    if snapshot.probes.file(EXCLUSIONS) != EXCLUSIONS_TEXT:
        return fail(
            "excluded from unattended upgrades",
            f"{EXCLUSIONS} is not as gpuhost wrote it",
            fix=AGAIN,
        )
    return ok(f"{len(packages)} packages on hold")
