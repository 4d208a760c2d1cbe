"""Units that systemd could not start or run, also those that gpuhost does not use."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.plans.system_units import OURS, broken_units, masked_units
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@check("system.units", "No systemd unit has failed, and containerd runs if the engine does.")
def units(snapshot: Snapshot, settings: Settings) -> Verdict:
    broken = broken_units(snapshot)
    others = [name for name in snapshot.units.failed if not name.startswith(OURS)]
    if broken:
        lines = [
            f"{name} {'failed' if name in snapshot.units.failed else 'stopped'}" for name in broken
        ]
        lines += [f"{name} failed" for name in others]
        first = quote(broken[0])
        return fail(
            "no failed unit",
            ", ".join(lines),
            fix=f"journalctl -b -u {first}; then systemctl start {first}, or {AGAIN}",
        )
    if others:
        return warn(
            "no failed unit",
            f"{', '.join(others)} failed",
            fix=f"journalctl -b -u {quote(others[0])}; when it is repaired, or not needed: "
            f"systemctl reset-failed {quote(others[0])}",
        )
    return ok("none", expected="no failed unit")


# Its name differs between distributions.
SSH = ("ssh.service", "ssh.socket", "sshd.service", "sshd.socket")


@check("system.masked", "No systemd unit that this host needs is masked.")
def masked(snapshot: Snapshot, settings: Settings) -> Verdict:
    needed = masked_units(snapshot, settings)
    if needed:
        return fail(
            "no masked unit",
            f"{', '.join(needed)} masked: nothing can start it",
            fix=f"{AGAIN}, or systemctl unmask {' '.join(map(quote, needed))}",
        )
    if ssh := [name for name in snapshot.units.masked if name in SSH]:
        return warn(
            "no masked unit",
            f"{', '.join(ssh)} masked: no SSH after the next boot",
            fix=f"systemctl unmask {' '.join(ssh)}, unless another service gives access",
        )
    return ok("none", expected="no masked unit")
