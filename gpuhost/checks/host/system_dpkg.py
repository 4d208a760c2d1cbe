"""The package manager: nobody else uses it, it works, and no package is half installed."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.dpkg import dpkg_fault
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

DPKG_WORKS = "dpkg can install packages"


@check("system.apt_idle", "No other program holds the locks of apt or dpkg.")
def apt_idle(snapshot: Snapshot, settings: Settings) -> Verdict:
    locks = snapshot.dpkg.locks
    if not locks:
        return ok("idle")
    return warn(
        "idle",
        str(locks[0]),
        fix=f"gpuhost waits up to apt_lock_timeout_s={settings.apt_lock_timeout_s}; "
        f"to see what it is: systemctl status {locks[0].pid}",
    )


@check("system.dpkg", "No package is half installed.")
def dpkg(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.dpkg.locks:
        return later(f"the package manager runs: {snapshot.dpkg.locks[0]}")
    if fault := dpkg_fault(snapshot):
        return fail(DPKG_WORKS, fault.what, evidence=fault.evidence, fix=fault.fix)
    if not snapshot.dpkg.unfinished and not snapshot.dpkg.journal:
        return ok("every package is complete")
    broken = ", ".join(snapshot.dpkg.unfinished) or "dpkg was interrupted"
    fix = "dpkg --configure -a; apt-get -f install"
    if names := " ".join(map(quote, snapshot.dpkg.broken)):
        fix += f"; if apt finds no archive for it: dpkg --remove --force-remove-reinstreq {names}"
    return fail("every package is complete", broken, fix=fix)
