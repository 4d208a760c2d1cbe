"""What keeps dpkg from installing anything, and no run of dpkg repairs."""

from __future__ import annotations

from dataclasses import dataclass
from shlex import quote

from gpuhost.plans.system import allow_programs, noexec_mount
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.dpkg import OVERRIDES
from gpuhost.snapshot.packages import DATABASE


@dataclass(frozen=True)
class DpkgFault:
    """+ fix: commands for a person"""

    what: str
    fix: str
    evidence: str = ""


def dpkg_fault(snapshot: Snapshot) -> DpkgFault | None:
    """None: dpkg can install packages."""
    if complaint := snapshot.dpkg.complaint:
        fix = f"cp -a {DATABASE}-old {DATABASE}, or the newest of /var/backups/dpkg.status.*; then "
        return DpkgFault(complaint, f"{fix}dpkg --audit")
    if paths := snapshot.dpkg.unknown_owners:
        return DpkgFault(
            f"the user or group of {', '.join(paths)} in {OVERRIDES} does not exist",
            "; ".join(f"dpkg-statoverride --remove {quote(path)}" for path in paths),
            evidence='dpkg ends with "unknown system user" before it unpacks a package',
        )
    if mounted_on := noexec_mount(snapshot, OVERRIDES):
        return DpkgFault(
            f"{mounted_on} is mounted noexec: the scripts of packages cannot run",
            allow_programs(mounted_on),
        )
    return None
