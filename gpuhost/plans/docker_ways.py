"""Whether containers' names and packets find their way: the engine's rules, servers, routes."""

from __future__ import annotations

import re

from gpuhost.domain.apt.mirrors import HOSTS
from gpuhost.domain.firewall.iptables_rule import Rule
from gpuhost.domain.firewall.nftables import DOCKER_TABLE
from gpuhost.plans.docker_flags import EngineSetting, engine_setting, switch
from gpuhost.settings import Settings
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.netfilter import SAVED

# moby, libnetwork: chains that dockerd makes whenever it starts, and that survive nothing that
# empties the tables: iptables -F, nftables.service, csf -r, netfilter-persistent. DOCKER-USER is
# not one of them: gpuhost's firewall makes it too.
CHAINS = re.compile(r"DOCKER(?!-USER$)(-.*)?")
# moby, resolvconf: what containers of the default bridge and builds ask in place of loopback.
LAST_RESORT = "8.8.8.8 and 8.8.4.4"


def lost_rules(snapshot: Snapshot) -> list[str]:
    """Tables of iptables without the rules that dockerd makes when it starts; empty: none, or that
    is not known.
    """
    if switch(snapshot, "iptables") is False or uses_nftables(snapshot):
        return []
    try:
        ruleset = snapshot.firewall.rulesets[4]
    except (NotRead, KeyError):
        return []
    if ruleset.unread or snapshot.probes.get(SAVED[4]).rc != 0:
        return []
    backends = ruleset.backends
    # Only rules that name DOCKER are parsed: there may be many thousand others.
    rules = [each for tables in backends for each in tables.rules() if "DOCKER" in each[2]]
    jumps = {(t, c) for t, c, rule in rules if CHAINS.fullmatch(Rule.parse(rule).target)}
    lost = [] if ("filter", "FORWARD") in jumps else ["filter"]
    has_nat = any("nat" in tables.others for tables in backends)
    if has_nat and not any(table == "nat" for table, _ in jumps):
        lost.append("nat")
    return lost


def nftables_backend(snapshot: Snapshot) -> EngineSetting | None:
    """What makes the engine use nftables; None: nothing does."""
    backend = engine_setting(snapshot, "firewall-backend")
    return backend if backend and backend.value == "nftables" else None


def uses_nftables(snapshot: Snapshot) -> bool:
    """Whether the engine's rules are not those of iptables, now or after its next start."""
    listed = snapshot.probes.get("nft_tables").out.splitlines()
    return bool(nftables_backend(snapshot)) or f"table ip {DOCKER_TABLE}" in listed


def without_servers(snapshot: Snapshot) -> str:
    """Which of the host's name servers containers cannot ask, if they can ask none; "": they can,
    or somebody declared others.
    """
    local, own = snapshot.local_networks, engine_setting(snapshot, "dns")
    if own and own.value:
        return ""
    if local.for_containers(ipv6=switch(snapshot, "ipv6") is True):
        return ""
    return ", ".join(map(str, local.servers)) or "none"


def in_china(settings: Settings) -> bool:
    """Whether the settings name a mirror there, where Google's servers may not answer."""
    return bool({settings.apt_mirror, settings.docker_mirror} & {*HOSTS, "auto"})


def has_no_way_out(snapshot: Snapshot) -> bool:
    """Whether the host has networks of IPv4, and no default route: neither have containers then."""
    local = snapshot.local_networks
    return bool(local.links) and local.way_out is None and not local.has_gateway
