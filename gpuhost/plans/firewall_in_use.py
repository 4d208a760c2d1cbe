"""A used machine: foreign rules, and which ports a firewall would close."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.domain.firewall.listeners import (
    DOCKER_PROXY,
    ENGINE_PROGRAM,
    Listener,
)
from gpuhost.domain.firewall.ports import PROTOCOLS
from gpuhost.domain.firewall.published import DOCKERS_OWN
from gpuhost.domain.firewall.rule import Family, FirewallRule, Protocol
from gpuhost.domain.firewall.sockets import PublishedPort, is_loopback, parse_published
from gpuhost.domain.firewall.tables import Chain
from gpuhost.domain.firewall.ufw import UfwRule
from gpuhost.plans.firewall import Opening, all_rules, allowed_rules, is_ours, openings
from gpuhost.plans.firewall_walk import OWN_CHAINS, packet_to
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.firewall import LOADING_RIVALS, RUNNING_RIVALS, Firewall

PUBLISHERS = (DOCKER_PROXY, ENGINE_PROGRAM)
# Of Docker 28.0: the networks of its bridges.
DOCKERS_SET = "--match-set docker-ext-bridges-v"
# What our change closes: it is let in without rules, by a policy (ufw's own chains too: it tracks
# what its policy accepts), by `ufw allow`, by Docker.
OURS_TO_CLOSE = re.compile(
    r"^no rule$|the policy ACCEPT of \w+$"
    r"|: (ufw6?-(user|track|skip-to-policy)-input|DOCKER[A-Z0-9-]*) .*-j ACCEPT$"
)
# Docker's own end of the chain; the host to itself, which ufw also writes with IPV6=no.
HARMLESS = {
    ("DOCKER-USER", "-j RETURN"),
    ("INPUT", "-i lo -j ACCEPT"),
    ("OUTPUT", "-o lo -j ACCEPT"),
}
MASQUERADING = re.compile(r"-j (MASQUERADE|SNAT)\b")
OUT = re.compile(r"-o (\S+)")
# A host with such a rule is a way out for others: a VPN's clients, virtual machines.
FORWARDING = "ufw drops what this host forwards for others"
FIREWALLS_CHAINS = ("INPUT", "FORWARD", "OUTPUT", "DOCKER-USER")


def is_in_place(firewall: Firewall) -> bool:
    """Whether gpuhost has closed this host before."""
    return any(text is not None for text in firewall.published.values()) or any(
        is_ours(rule) for _, rule in all_rules(firewall)
    )


@dataclass(frozen=True)
class Foreign:
    """A rule that gpuhost did not make. opens: it is ufw's, and allows undeclared connections."""

    text: str
    opens: bool = False


def foreign_rules(firewall: Firewall, settings: Settings) -> tuple[Foreign, ...]:
    """Foreign rules as a person reads them: ufw's first, then the kernel's."""
    expected = openings(firewall, settings)
    rules = [
        Foreign(f"ufw: {rule.text}", rule.lets_in and not _is_asked_for(rule, expected, family))
        for family, rule in all_rules(firewall)
        if not is_ours(rule)
    ]
    for family, tables in firewall.kernel.items():
        tool = "iptables" if family == 4 else "ip6tables"
        for chain in FIREWALLS_CHAINS:
            rules += [
                Foreign(f"{tool}: {chain} {rule}")
                for rule in tables.chain(chain).rules
                if not _is_known(chain, rule, firewall.bridges.own)
            ]
        # What is sent on to another machine or port: our rules close it if it is not declared.
        rules += [
            Foreign(f"{tool} -t nat: PREROUTING {rule}")
            for rule in tables.table("nat").get("PREROUTING", Chain()).rules
            if not _is_known("PREROUTING", rule, firewall.bridges.own)
        ]
        rules += [
            Foreign(f"{tool} -t nat: POSTROUTING {rule} ({FORWARDING})")
            for rule in tables.table("nat").get("POSTROUTING", Chain()).rules
            if MASQUERADING.search(rule) and not _is_dockers_masquerade(rule, firewall.bridges.own)
        ]
    rules += [
        Foreign(f"{path} fills DOCKER-USER whenever ufw starts, as ufw-docker does")
        for path in firewall.docker_user
    ]
    rules += [Foreign(f"nftables: table {name}") for name in firewall.nft_tables]
    return tuple(dict.fromkeys(rules))


def _is_asked_for(rule: UfwRule, expected: tuple[Opening, ...], family: Family) -> bool:
    return bool(rule.matches) and all(
        any(
            family in opening.rule.families and opening.rule.in_family(family).covers(match)
            for opening in expected
            if opening.interface is None
        )
        for match in rule.matches
    )


def _is_known(chain: str, rule: str, bridges: tuple[str, ...]) -> bool:
    if (chain, rule) in HARMLESS:
        return True
    target = re.search(r"-[jg] (\S+)$", rule)
    if target and OWN_CHAINS.fullmatch(target[1]):
        return True
    interfaces = re.findall(r"-[io] (\S+)", rule)
    return chain == "FORWARD" and (
        any(DOCKERS_OWN.fullmatch(name) or name in bridges for name in interfaces)
        or DOCKERS_SET in rule
    )


def _is_dockers_masquerade(rule: str, bridges: tuple[str, ...]) -> bool:
    """Of a bridge's network, or of a container that reaches its own published port."""
    if any(DOCKERS_OWN.fullmatch(name) or name in bridges for name in OUT.findall(rule)):
        return True
    ends = re.match(r"-s (\S+) -d (\S+) ", rule)
    return bool(ends and ends[1] == ends[2])


def ports_to_close(
    firewall: Firewall, settings: Settings, published: Iterable[PublishedPort]
) -> list[str]:
    """Listeners that are reachable now, and that the firewall would close.

    + published: ports of containers, whose docker-proxy or dockerd is not listed again
    """
    kept = [opening.rule for opening in openings(firewall, settings) if not opening.interface]
    kept += [
        match.from_anywhere()
        for _, rule in all_rules(firewall)
        if rule.lets_in and rule.interface is None
        for match in rule.matches
        if not (match.source and match.source.prefixlen)
    ]
    known = list(published)
    return [
        str(listener)
        for listener in firewall.listeners
        if not any(_stays_open(rule, listener) for rule in kept)
        and not (listener.process in PUBLISHERS and any(_is_of(listener, p) for p in known))
        and _depends_on_us(firewall, listener)
    ]


def _depends_on_us(firewall: Firewall, listener: Listener) -> bool:
    """Whether what we change lets it in now: the policy, Docker, a rule that only the kernel has.

    Rules of others, and those around `ufw allow` in ufw's files, stay.
    """
    for family, ruleset in firewall.rulesets.items():
        outcome = ruleset.outcome(packet_to(firewall, family, listener.protocol, listener.port))
        if outcome.verdict == "unknown" or OURS_TO_CLOSE.search(outcome.rule):
            return True
    return False


def _stays_open(rule: FirewallRule, listener: Listener) -> bool:
    """Ports without a protocol are those of TCP and UDP; no port at all is every protocol."""
    if listener.protocol not in PROTOCOLS:
        return (rule.first, rule.protocol, rule.source) == (None, None, None)
    return rule.mentions(listener.port, listener.port, _protocol(listener.protocol))


def _protocol(name: str) -> Protocol:
    return "udp" if name == "udp" else "tcp"


def _is_of(listener: Listener, port: PublishedPort) -> bool:
    return listener.protocol == port.protocol and port.first <= listener.port <= port.last


def closed_ports(published: Iterable[PublishedPort], settings: Settings) -> list[str]:
    """Published ports of running containers that the settings do not open."""
    rules = allowed_rules(settings)
    return [
        str(port)
        for port in sorted(set(published))
        if not any(rule.mentions(port.first, port.last, _protocol(port.protocol)) for rule in rules)
    ]


@dataclass(frozen=True)
class Refusal:
    """Why no port may be closed on this host yet, and how to continue."""

    reason: str
    fix: str


def refusal(snapshot: Snapshot, settings: Settings) -> Refusal | None:
    """Why gpuhost must not close ports yet; None: it may."""
    if rival := _rival(snapshot.firewall):
        return rival
    if settings.adopt or is_in_place(snapshot.firewall):
        return None
    published = published_ports(snapshot)
    closing = ports_to_close(snapshot.firewall, settings, published)
    closing += closed_ports(published, settings)
    foreign = [rule.text for rule in foreign_rules(snapshot.firewall, settings)]
    if not closing and not foreign:
        return None
    reasons = [f"would close {', '.join(closing)}"] if closing else []
    reasons += [f"rules that gpuhost did not make: {'; '.join(foreign)}"] if foreign else []
    return Refusal(
        f"a used machine: {'; '.join(reasons)}",
        "add to firewall_allow what must stay open, then set adopt=True",
    )


def _rival(firewall: Firewall) -> Refusal | None:
    """Another firewall: both would take each other's rules away."""
    units = firewall.units
    for name in RUNNING_RIVALS:
        if name in units and units[name].active:
            program = name.removesuffix(".service")
            return Refusal(
                f"{program} is running, and two firewalls conflict",
                f"systemctl disable --now {program}, or set firewall_enabled=False",
            )
    for name in LOADING_RIVALS:
        if name in units and units[name].enabled:
            return Refusal(
                f"{name} loads rules of its own at boot, in place of ufw's",
                f"allow in firewall_allow what they allow, then systemctl disable {name}"
                " (not --now: to stop it can open the host at once)",
            )
    return None


def published_ports(snapshot: Snapshot) -> list[PublishedPort]:
    """Those of running containers beyond the host itself."""
    return [
        port
        for container in snapshot.docker.running_containers
        for port in parse_published(container.ports, container.name)
        if port.protocol in PROTOCOLS and not is_loopback(port.address)
    ]
