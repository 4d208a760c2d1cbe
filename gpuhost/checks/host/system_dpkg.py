"""The package manager: nobody else uses it, it works, and no package is half installed."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, later, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.system import noexec_mount
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.dpkg import OVERRIDES
from gpuhost.snapshot.packages import DATABASE

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
    if verdict := _unusable(snapshot):
        return verdict
    if not snapshot.dpkg.unfinished and not snapshot.dpkg.journal:
        return ok("every package is complete")
    broken = ", ".join(snapshot.dpkg.unfinished) or "dpkg was interrupted"
    fix = "dpkg --configure -a; apt-get -f install"
    if names := " ".join(map(quote, snapshot.dpkg.broken)):
        fix += f"; if apt finds no archive for it: dpkg --remove --force-remove-reinstreq {names}"
    return fail("every package is complete", broken, fix=fix)


def _unusable(snapshot: Snapshot) -> Verdict | None:
    """What keeps dpkg from installing anything, and no run of dpkg repairs."""
    if complaint := snapshot.dpkg.complaint:
        fix = f"cp -a {DATABASE}-old {DATABASE}, or the newest of /var/backups/dpkg.status.*; then "
        return fail(DPKG_WORKS, complaint, fix=f"{fix}dpkg --audit")
    if paths := snapshot.dpkg.unknown_owners:
        return fail(
            DPKG_WORKS,
            f"the user or group of {', '.join(paths)} in {OVERRIDES} does not exist",
            evidence='dpkg ends with "unknown system user" before it unpacks a package',
            fix="; ".join(f"dpkg-statoverride --remove {quote(path)}" for path in paths),
        )
    if mounted_on := noexec_mount(snapshot, OVERRIDES):
        return fail(
            DPKG_WORKS,
            f"{mounted_on} is mounted noexec: the scripts of packages cannot run",
            fix=f"mount -o remount,exec {quote(mounted_on)}; remove noexec from /etc/fstab",
        )
    return None
