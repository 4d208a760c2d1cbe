"""Units that systemd could not start or run, including those that nobody declared."""

from __future__ import annotations

from shlex import quote

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.registry import check
from gpuhost.plans.system_units import OURS, broken_units
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


@check("system.units", "No systemd unit has failed, and containerd runs if the engine does.")
def units(snapshot: Snapshot, settings: Settings) -> Verdict:
    ours = broken_units(snapshot)
    others = [name for name in snapshot.units.failed if not name.startswith(OURS)]
    if ours:
        lines = [
            f"{name} {'failed' if name in snapshot.units.failed else 'stopped'}" for name in ours
        ]
        lines += [f"{name} failed" for name in others]
        return fail(
            "no failed unit",
            ", ".join(lines),
            fix=f"journalctl -b -u {ours[0]}; then systemctl start {ours[0]}, or the deploy again",
        )
    if others:
        return warn(
            "no failed unit",
            f"{', '.join(others)} failed",
            fix=f"journalctl -b -u {quote(others[0])}; when it is repaired, or not needed: "
            f"systemctl reset-failed {quote(others[0])}",
        )
    return ok("none", expected="no failed unit")
