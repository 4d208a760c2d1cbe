"""The firewall and published container ports."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, ok, warn
from gpuhost.checks.host.firewall import where_enabled
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.firewall.published import fault
from gpuhost.plans.docker_ways import nftables_backend, uses_nftables
from gpuhost.plans.firewall import follows_ufw, published_files
from gpuhost.plans.firewall_files import LOAD_UNIT, UNDO_UNIT, host_files
from gpuhost.plans.firewall_in_use import closed_ports, published_ports
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON

USE_IPTABLES = f'set "firewall-backend": "iptables" in {DAEMON_JSON}, then systemctl restart docker'


@check(
    "firewall.published",
    "`firewall_allow` also applies to published container ports, also after a restart.",
)
@where_enabled
def published(snapshot: Snapshot, settings: Settings) -> Verdict:
    expected = f"published ports pass through {LOAD_UNIT}'s rules"
    if uses_nftables(snapshot):
        backend = nftables_backend(snapshot)
        return fail(
            expected,
            "Docker's nftables backend has no DOCKER-USER chain",
            fix=backend.removal if backend else USE_IPTABLES,
        )
    problem = published_fault(snapshot, settings)
    return fail(expected, problem, fix=AGAIN) if problem else ok(expected)


def published_fault(snapshot: Snapshot, settings: Settings) -> str:
    """What of our rules for published ports is missing; "": nothing."""
    for file in host_files():
        if not file.is_on(snapshot):
            exists = snapshot.paths.get(file.path)
            return f"{file.path} is {'changed' if exists else 'missing'}"
    for name in (LOAD_UNIT, UNDO_UNIT):
        if name not in snapshot.firewall.units or not snapshot.firewall.units[name].enabled:
            return f"{name} is not enabled: the rules are lost at the next boot"
    if not follows_ufw(snapshot):
        return f"{', '.join(snapshot.firewall.docker_user)}: every start of ufw removes the rules"
    for family, text in published_files(snapshot.firewall, settings).items():
        if snapshot.firewall.published[family] != text:
            return f"the rules for IPv{family} differ from firewall_allow"
        tables = snapshot.firewall.kernel.get(family)
        problem = fault(text, tables) if tables else ""
        if problem:
            return f"IPv{family}: {problem}"
    return ""


@check("firewall.closed", "Every port that a container publishes is open in the firewall.")
@where_enabled
def closed(snapshot: Snapshot, settings: Settings) -> Verdict:
    ports = closed_ports(published_ports(snapshot), settings)
    if not ports:
        return ok("every published port is open")
    return warn(
        "published ports are in firewall_allow",
        f"published, but closed: {', '.join(ports)}",
        fix="add them to firewall_allow, or publish them on 127.0.0.1",
    )
