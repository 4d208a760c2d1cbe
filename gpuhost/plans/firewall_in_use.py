"""A used machine: what on it is somebody else's, and what closing it would cut off."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass

from gpuhost.domain.firewall.listeners import PublishedPort, parse_published
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.ufw import UfwRule
from gpuhost.plans.firewall import Opening, all_rules, allowed, is_ours, not_loaded, openings
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.firewall import Firewall

KNOWN_CHAINS = re.compile(r"(ufw6?|DOCKER|GPUHOST)(-.*)?")
DOCKERS_INTERFACE = re.compile(r"-[io] (docker\S*|br-[0-9a-f]{12})( |$)")
FIREWALLS_CHAINS = ("INPUT", "FORWARD", "OUTPUT", "DOCKER-USER")


def is_in_place(firewall: Firewall) -> bool:
    """Whether gpuhost has closed this host before."""
    return any(text is not None for text in firewall.published.values()) or any(
        is_ours(rule) for _, rule in all_rules(firewall)
    )


@dataclass(frozen=True)
class Foreign:
    """A rule that somebody else made. opens: it lets in what the settings do not speak of."""

    text: str
    opens: bool


def foreign(firewall: Firewall, settings: Settings) -> tuple[Foreign, ...]:
    """The rules of others, as a person reads them: ufw's first, then the kernel's."""
    wanted = openings(firewall, settings)
    found = [
        Foreign(f"ufw: {rule.text}", rule.lets_in and not _is_asked_for(rule, wanted, family))
        for family, rule in all_rules(firewall)
        if not is_ours(rule)
    ]
    for family, tables in firewall.kernel.items():
        tool = "iptables" if family == 4 else "ip6tables"
        for chain in FIREWALLS_CHAINS:
            found += [
                Foreign(f"{tool}: {chain} {rule}", _opens(chain, rule))
                for rule in tables.chain(chain).rules
                if not _is_known(chain, rule)
            ]
    found += [Foreign(f"nftables: table {name}", False) for name in firewall.nft_tables]
    return tuple(dict.fromkeys(found))


def _is_asked_for(rule: UfwRule, wanted: tuple[Opening, ...], family: Family) -> bool:
    return bool(rule.matches) and all(
        any(
            family in opening.rule.families and opening.rule.in_family(family).covers(match)
            for opening in wanted
            if opening.interface is None
        )
        for match in rule.matches
    )


def _is_known(chain: str, rule: str) -> bool:
    if chain == "DOCKER-USER" and rule == "-j RETURN":
        return True
    target = re.search(r"-[jg] (\S+)$", rule)
    if target and KNOWN_CHAINS.fullmatch(target[1]):
        return True
    return chain == "FORWARD" and bool(DOCKERS_INTERFACE.search(rule))


def _opens(chain: str, rule: str) -> bool:
    return chain in ("INPUT", "DOCKER-USER") and rule.endswith("-j ACCEPT") and "-i lo" not in rule


def closes(firewall: Firewall, settings: Settings) -> list[str]:
    """What listens on the host, is reached today, and would be closed."""
    if firewall.ufw.enabled and not not_loaded(firewall, ()):
        return []
    wanted = [opening.rule for opening in openings(firewall, settings) if not opening.interface]
    kept = [m for _, r in all_rules(firewall) if r.lets_in for m in r.matches] + wanted
    return [
        str(listener)
        for listener in firewall.listeners
        if not any(rule.mentions(listener.port, listener.port, listener.protocol) for rule in kept)
    ]


def closed(published: Iterable[PublishedPort], settings: Settings) -> list[str]:
    """Published ports of running containers that the settings let nobody reach from outside."""
    rules = allowed(settings)
    return [
        str(port)
        for port in sorted(set(published))
        if not any(rule.mentions(port.first, port.last, port.protocol) for rule in rules)
    ]


@dataclass(frozen=True)
class Refusal:
    """Why nothing may be closed on this host yet, and what a person does about it."""

    reason: str
    fix: str


def refusal(snapshot: Snapshot, settings: Settings) -> Refusal | None:
    """None: gpuhost may go on."""
    units = snapshot.firewall.units
    if "firewalld.service" in units and units["firewalld.service"].active:
        return Refusal(
            "firewalld is running, and two firewalls undo each other",
            "systemctl disable --now firewalld, or set firewall_enabled=False",
        )
    if settings.adopt or is_in_place(snapshot.firewall):
        return None
    cut = closes(snapshot.firewall, settings) + closed(published_ports(snapshot), settings)
    others = [rule.text for rule in foreign(snapshot.firewall, settings)]
    if not cut and not others:
        return None
    reasons = [f"would close {', '.join(cut)}"] if cut else []
    reasons += [f"rules that gpuhost did not make: {'; '.join(others)}"] if others else []
    return Refusal(
        f"a used machine: {'; '.join(reasons)}",
        "put into firewall_allow what has to stay open, then set adopt=True",
    )


def published_ports(snapshot: Snapshot) -> Iterable[PublishedPort]:
    return [
        port
        for container in snapshot.docker.running_containers
        for port in parse_published(container.ports, container.name)
    ]
