"""What may prevent the driver from being loaded, now or at the next boot."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.driver_state import DriverState
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_upkeep import BLACKLIST
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

ENROL = (
    "mokutil --import /var/lib/dkms/mok.pub, reboot, and confirm the key at the console; "
    "or disable Secure Boot"
)


def _no_driver(snapshot: Snapshot) -> str:
    return "" if snapshot.nvidia.installed else "no driver is installed"


def _is_loaded(snapshot: Snapshot) -> bool:
    return snapshot.nvidia.works or snapshot.nvidia.module is not None


@check("nvidia.nouveau", "The driver nouveau is not loaded, and will not be at the next boot.")
def nouveau(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings) or _no_driver(snapshot):
        return skip(reason)
    if snapshot.nvidia.nouveau and not _is_loaded(snapshot):
        return fail(
            "not loaded",
            "it uses the card, so NVIDIA's driver cannot",
            fix=f"echo blacklist nouveau >{BLACKLIST}; update-initramfs -u; reboot",
        )
    next_boot = snapshot.kernels.next
    if next_boot in snapshot.kernels.nouveau and not snapshot.kernels.nouveau_off:
        return warn(
            "blacklisted",
            f"kernel {next_boot} may load it before NVIDIA's",
            fix=f"echo blacklist nouveau >{BLACKLIST}; update-initramfs -u",
        )
    return ok("not loaded")


@check(
    "nvidia.secure_boot", "Secure Boot is off, or knows the key that signed the driver's modules."
)
def secure_boot(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings) or _no_driver(snapshot):
        return skip(reason)
    state = snapshot.secure_boot
    if not state.on:
        return ok("off")
    module = snapshot.kernels.nvidia.get(snapshot.kernels.next or snapshot.kernels.running)
    if module and not module.built_here:
        return ok("on; the distribution signed the modules")
    if state.enrolled:
        return ok("on; the key of the modules is enrolled")
    if _is_loaded(snapshot):
        return ok("on; the modules are loaded anyway")
    if state.enrolled is None:
        return unknown("mokutil is not installed: the enrolled keys are unknown")
    key = "the key of the modules is not enrolled" if state.key else "no key signs the modules"
    return fail("off, or the key enrolled", f"on, and {key}", fix=ENROL)


@check("nvidia.next_boot", "The kernel of the next boot has the driver's module, and may load it.")
def next_boot(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings) or _no_driver(snapshot):
        return skip(reason)
    kernels = snapshot.kernels
    if kernels.driver_off:
        return fail(
            "the driver is loaded at boot",
            f"modprobe blocks it: {kernels.driver_off}",
            fix="grep -rE 'install +nvidia' /etc/modprobe.d; remove the line; update-initramfs -u",
        )
    if kernels.next is None:
        return skip("no kernel in /boot: a container, or booted from another disk")
    if kernels.next in kernels.nvidia:
        return ok(f"{kernels.next}: {kernels.nvidia[kernels.next].path}")
    not_loaded = snapshot.nvidia.diagnosis.state is DriverState.MODULE_NOT_LOADED
    if kernels.next == kernels.running and not_loaded:
        return later("the running kernel has none either: see nvidia.driver")
    have, kernel = ", ".join(kernels.nvidia) or "no kernel", quote(str(kernels.next))
    return fail(
        f"a module for {kernels.next}",
        "none: the next boot has no driver",
        evidence=f"modules exist for: {have}",
        fix=f"apt-get install linux-headers-{kernel}; dkms autoinstall -k {kernel}",
    )
