"""SSH, by which a host is reached: it must not be elsewhere after the next start."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot

LOCKED_OUT = (
    "put the port back into /etc/ssh/sshd_config; or let both in, run the deploy again (the "
    "firewall follows), and change ssh_port in the inventory before sshd restarts"
)
RESTART = "sshd -t && systemctl restart ssh; then run the deploy again, for the firewall"


@check("system.ssh", "sshd's configuration is valid and names the ports where SSH is reached.")
def ssh(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.system.root:
        return skip("only root can ask sshd")
    found = snapshot.ssh
    if found.complaint:
        return fail(
            "a configuration that sshd accepts",
            "sshd refuses it: nobody can log in after its next start",
            evidence=found.complaint,
            fix="sshd -t",
        )
    if not found.configured or not found.listening:
        return skip("no sshd listens here, or it does not tell where")
    expected, actual = f"on {_in_words(found.configured)}", f"on {_in_words(found.listening)}"
    if not found.socket and not found.configured & found.listening:
        return fail(expected, f"{actual}, until sshd starts again", fix=LOCKED_OUT)
    if found.login is not None and found.login not in found.configured:
        return warn(expected, f"this login came in on {found.login}", fix=LOCKED_OUT)
    if silent := found.configured - found.listening:
        return warn(expected, f"nothing on {_in_words(silent)}", fix=RESTART)
    return ok(actual, expected=expected)


def _in_words(ports: Iterable[int]) -> str:
    return "port " + ", ".join(map(str, sorted(ports)))
