"""What may prevent the driver from being loaded, now or at the next boot."""

from __future__ import annotations

import re
from collections.abc import Sequence
from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, skip, unknown, warn
from gpuhost.checks.registry import check
from gpuhost.domain.nvidia.driver_state import DriverState
from gpuhost.plans.gpu import reason_without_driver
from gpuhost.plans.nvidia_kernel import headers_of
from gpuhost.plans.nvidia_loading import blocked_by, rivals_at_next_boot, strange_holders
from gpuhost.plans.nvidia_upkeep import BLACKLIST
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.failed_builds import FailedBuild
from gpuhost.snapshot.secure_boot import Key

ENROL = (
    "mokutil --import /var/lib/dkms/mok.pub, reboot, and confirm the key at the console; "
    "or disable Secure Boot"
)
REFUSED = {
    Key.PENDING: (
        "the key of the modules waits to be confirmed at the console",
        'reboot, and at the console choose "Enroll MOK" within its ten seconds, then enter the '
        "password that was given to mokutil",
    ),
    Key.BLOCKED: ("the key of the modules is blocked", f"make another key, then {ENROL}"),
    Key.MISSING: ("the key of the modules is not enrolled", ENROL),
    Key.NONE: ("no key signs the modules", ENROL),
}
LACKED = re.compile(r"unrecognized command|(gcc-\d{1,2}): (?:command )?not found", re.ASCII)
ANY_COMPILER = "install the compiler of this kernel (CC_VERSION in /lib/modules/*/build/.config)"
IF_IT_FAILS = (
    "if that fails too, this driver does not fit this kernel: boot another one, or install a newer "
    'driver (nvidia_source="nvidia")'
)
UNBLOCK = (
    "remove the line (grep -rnE 'nvidia' /etc/modprobe.d /lib/modprobe.d finds it; after "
    "prime-select: prime-select nvidia); update-initramfs -u; modprobe nvidia; modprobe nvidia-uvm"
)


def _no_driver(snapshot: Snapshot) -> str:
    return "" if snapshot.nvidia.installed else "no driver is installed"


def _is_loaded(snapshot: Snapshot) -> bool:
    return snapshot.nvidia.works or snapshot.nvidia.module is not None


@check("nvidia.nouveau", "No other driver, such as nouveau, holds a card, now or at the next boot.")
def nouveau(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings) or _no_driver(snapshot):
        return skip(reason)
    if strangers := strange_holders(snapshot):
        return fail(
            "NVIDIA's driver, or none",
            f"{strangers}: gpuhost does not know this driver, and leaves it alone",
            fix="lspci -nnk -d 10de: shows what holds the card; release it, or bind it to vfio-pci "
            "if it belongs to a virtual machine",
        )
    rival = snapshot.nvidia.rival
    held = [gpu.slot for gpu in snapshot.nvidia.held_by_others]
    where = f" at {', '.join(held)}" if held else ""
    if rival and (held or not _is_loaded(snapshot)):
        return fail(
            "no other driver",
            f"{rival.driver}: it uses the card{where}, so NVIDIA's driver cannot",
            fix=_keep_off(rival.modules, "; reboot"),
        )
    if waiting := rivals_at_next_boot(snapshot):
        return warn(
            "blacklisted",
            f"kernel {snapshot.kernels.next} may load {waiting[0]} before NVIDIA's driver",
            fix=_keep_off(waiting, ""),
        )
    return ok("no other driver")


def _keep_off(modules: Sequence[str], then: str) -> str:
    lines = " ".join(f"'blacklist {module}'" for module in modules)
    return f"printf '%s\\n' {lines} >>{BLACKLIST}; update-initramfs -u{then}"


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
    if state.key is Key.ENROLLED:
        return ok("on; the key of the modules is enrolled")
    if _is_loaded(snapshot):
        return ok("on; the modules are loaded anyway")
    if state.key is Key.UNKNOWN:
        return unknown(
            f"{state.unknown}: the enrolled keys are unknown", fix="mokutil --list-enrolled"
        )
    actual, fix = REFUSED[state.key]
    return fail("off, or the key enrolled", f"on, and {actual}", fix=fix)


@check(
    "nvidia.next_boot", "The kernel of the next boot has the driver's modules, and may load them."
)
def next_boot(snapshot: Snapshot, settings: Settings) -> Verdict:
    if reason := reason_without_driver(snapshot, settings) or _no_driver(snapshot):
        return skip(reason)
    kernels = snapshot.kernels
    if blocked := blocked_by(snapshot):
        return fail(
            "the driver is loaded at boot",
            f"modprobe blocks it: {blocked}",
            fix=UNBLOCK,
        )
    if kernels.boot.unknown:
        return _any_kernel(snapshot)
    if kernels.next is None:
        return skip("no kernel in /boot: a container, or booted from another disk")
    if kernels.next in kernels.without_uvm and kernels.next in kernels.nvidia:
        return fail(
            f"nvidia and nvidia-uvm for {kernels.next}",
            "nvidia-uvm is missing: CUDA cannot start",
            fix=_rebuild(snapshot, kernels.next),
        )
    if kernels.next in kernels.nvidia and kernels.driver_not_by_name:
        return warn(
            "whoever loads the driver by name gets it",
            f"modprobe does nothing: {kernels.driver_not_by_name}",
            fix=UNBLOCK,
        )
    if kernels.next in kernels.nvidia:
        return ok(f"{kernels.next}: {kernels.nvidia[kernels.next].path}")
    not_loaded = snapshot.nvidia.diagnosis.state is DriverState.MODULE_NOT_LOADED
    if kernels.next == kernels.running and not_loaded:
        return later("the running kernel has none either: see nvidia.driver")
    failed = kernels.failed_builds.get(kernels.next)
    have = ", ".join(kernels.nvidia) or "no kernel"
    return fail(
        f"a module for {kernels.next}",
        "none: the next boot has no driver",
        evidence=f"its last build failed: {failed}" if failed else f"modules exist for: {have}",
        fix=_rebuild(snapshot, kernels.next),
    )


def _missing_compiler(failed: FailedBuild) -> str:
    """How to get the compiler that a failed build lacked; empty: that was not the fault."""
    lacked = LACKED.search(failed.error)
    if not lacked:
        return ""
    compiler = failed.compiler or lacked[1]
    return f"apt-get install {compiler}, the compiler of this kernel" if compiler else ANY_COMPILER


def _any_kernel(snapshot: Snapshot) -> Verdict:
    """The verdict while the kernel of the next boot is unknown."""
    kernels = snapshot.kernels
    without = [release for release in kernels.installed if release not in kernels.nvidia]
    if not without:
        return ok("every installed kernel has a module")
    return unknown(
        f"which kernel boots next is unknown ({kernels.boot.unknown}), and there is no module for "
        f"{', '.join(without)}",
        fix=_rebuild(snapshot, without[-1]),
    )


def _rebuild(snapshot: Snapshot, release: str) -> str:
    kernel, kernels = quote(release), snapshot.kernels
    if release in kernels.buildable:
        failed = kernels.failed_builds.get(release)
        again = f"dkms install --force -k {kernel} MODULE/VERSION, as dkms status names the module"
        if failed and (compiler := _missing_compiler(failed)):
            return f"{compiler}; {again}"
        return f"{again}; {IF_IT_FAILS}" if failed else again
    headers = " ".join(map(quote, headers_of(snapshot, release)))
    return f"apt-get install {headers}; dkms autoinstall -k {kernel}"
