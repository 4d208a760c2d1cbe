"""Swap: enough of it, in a file that survives a reboot."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.sizes import format_size
from gpuhost.plans.swap import overriding, plan, present_size
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.swap import SwapArea
from gpuhost.snapshot.sysctl import OURS, SWAP_FILE, SWAPPINESS

FILE_MODE = "0600"


@check("swap.size", "Active swap, partitions included, has the size of `swap_size_gb`.")
def size(snapshot: Snapshot, settings: Settings) -> Verdict:
    planned = plan(snapshot, settings)
    active = snapshot.swap.area(settings.swap_path)
    actual = format_size(snapshot.swap.total)
    present = present_size(snapshot, settings)
    if planned.size == 0 and present == 0:
        kubelet = snapshot.engines.refuses_swap
        reason = f"; {kubelet} does not start where swap is on" if kubelet else ""
        return ok(actual, evidence=f"{_in_words(snapshot)}{reason}")
    if active and planned.size == present:
        return ok(actual, evidence=_in_words(snapshot))
    return fail(
        f"{format_size(planned.size)} in {settings.swap_path}",
        actual,
        evidence=planned.refusal or _in_words(snapshot),
        fix=planned.fix or f"{AGAIN} (it creates {settings.swap_path})",
    )


@check(
    "swap.boot",
    "The swap file is in /etc/fstab, so that it is active after a reboot, and a boot waits for no "
    "other area that does not exist.",
)
def boot(snapshot: Snapshot, settings: Settings) -> Verdict:
    planned = plan(snapshot, settings)
    if planned.refusal:
        return skip(planned.refusal)
    listed = snapshot.swap.in_fstab(settings.swap_path)
    if listed == bool(planned.size) and snapshot.swap.lost:
        lost = ", ".join(snapshot.swap.lost)
        return warn(
            "every swap area of /etc/fstab exists",
            f"no disk is {lost}: each boot waits for it, 90 s by default",
            fix="swapon --show and blkid tell which there are: correct the line in /etc/fstab, or "
            "remove it",
        )
    if listed == bool(planned.size):
        return ok("in /etc/fstab" if listed else "no swap file, no line in /etc/fstab")
    return fail(
        "in /etc/fstab" if planned.size else "not in /etc/fstab",
        "in /etc/fstab" if listed else "not in /etc/fstab",
        fix=AGAIN,
    )


@check("swap.mode", "Only root can read the swap file.")
def mode(snapshot: Snapshot, settings: Settings) -> Verdict:
    file = snapshot.paths.get(settings.swap_path)
    if file is None:
        return skip("no swap file")
    if (file.mode, file.owner) == (FILE_MODE, "root"):
        return ok(FILE_MODE)
    return fail(
        f"{FILE_MODE} root", f"{file.mode} {file.owner}", fix=f"chmod 600 {settings.swap_path}"
    )


@check("swap.swappiness", "The kernel uses `swap_swappiness`, now and at boot.")
def swappiness(snapshot: Snapshot, settings: Settings) -> Verdict:
    if settings.swap_size_gb == 0:
        return skip("no swap is declared")
    if snapshot.swap.swappiness is None:
        raise NotRead("/proc/sys/vm/swappiness could not be read")
    declared = str(settings.swap_swappiness)
    if snapshot.swap.swappiness != settings.swap_swappiness:
        return fail(
            declared, str(snapshot.swap.swappiness), fix=f"sysctl -w vm.swappiness={declared}"
        )
    line = snapshot.sysctl.at_boot(SWAPPINESS)
    if line and line.value == declared:
        return ok(declared, evidence="" if line.path in OURS else f"set by {line}")
    others = overriding(snapshot, settings)
    actual = f"{line.value} by {line}" if line else f"no file of sysctl.d sets {SWAPPINESS}"
    return fail(
        f"{declared} at boot too",
        actual,
        evidence=f"read after {SWAP_FILE}: {', '.join(map(str, others))}" if others else "",
        fix=f"remove {SWAPPINESS} from {others[0]}, or set adopt=True"
        if others
        else f"{AGAIN}: it writes {SWAP_FILE}, which is read last",
    )


def _in_words(snapshot: Snapshot) -> str:
    return ", ".join(map(_area_in_words, snapshot.swap.areas)) or "no active swap"


def _area_in_words(area: SwapArea) -> str:
    kind = " (compressed RAM, not counted)" if area.is_ram else ""
    return f"{area.path} {format_size(area.size)}{kind}"
