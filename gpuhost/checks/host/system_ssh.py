"""SSH: its ports must not change when sshd starts again."""

from __future__ import annotations

from collections.abc import Iterable

from gpuhost.checks.finding import Verdict, fail, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.ssh import NO_KEYS

LOCKED_OUT = (
    "restore the port in /etc/ssh/sshd_config; or configure both, run the deploy again (the "
    "firewall follows), and change ssh_port in the inventory before sshd restarts"
)
# Only what is missing is made; sshd takes no key that others can read.
NEW_KEYS = (
    "find /etc/ssh -name 'ssh_host_*_key' -empty -delete; chmod 600 /etc/ssh/ssh_host_*_key; "
    "ssh-keygen -A; sshd -t"
)
RESTART = "sshd -t && systemctl restart ssh; then run the deploy again, for the firewall"


@check("system.ssh", "sshd's configuration is valid, and names the ports on which SSH listens.")
def ssh(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.system.root:
        return skip("only root can run sshd -T")
    server = snapshot.ssh
    if server.complaint:
        return fail(
            "a configuration and host keys that sshd accepts",
            "sshd rejects it: no login is possible after its next start",
            evidence=server.complaint,
            fix=NEW_KEYS if NO_KEYS in server.complaint else "sshd -t",
        )
    if not server.configured or not server.listening:
        return skip("no sshd listens on this host, or its ports are unknown")
    expected, actual = f"on {_in_words(server.configured)}", f"on {_in_words(server.listening)}"
    if not server.socket and not server.configured & server.listening:
        return fail(expected, f"{actual}, until sshd starts again", fix=LOCKED_OUT)
    if server.login is not None and server.login not in server.configured:
        return warn(expected, f"this login uses port {server.login}", fix=LOCKED_OUT)
    if silent := server.configured - server.listening:
        return warn(expected, f"nothing on {_in_words(silent)}", fix=RESTART)
    return ok(actual, expected=expected)


def _in_words(ports: Iterable[int]) -> str:
    return "port " + ", ".join(map(str, sorted(ports)))
