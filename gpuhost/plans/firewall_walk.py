"""The firewall judged by its effect: the kernel's rules walked for the packets that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network

from gpuhost.domain.firewall.journey import Outcome, Ruleset
from gpuhost.domain.firewall.packet import Network, Packet
from gpuhost.domain.firewall.ports import PORTS, PROTOCOLS, named_ports, unnamed_port
from gpuhost.domain.firewall.rule import Family, FirewallRule, Protocol
from gpuhost.plans.firewall import SSH_COMMENT, Opening, is_missing, openings
from gpuhost.settings import Settings
from gpuhost.snapshot.firewall import Firewall

# Chains of ufw, Docker and gpuhost in the filter table: what they allow is known from their files.
OWN_CHAINS = re.compile(r"(ufw6?|GPUHOST|DOCKER)(-.*)?")
UFW_CHAIN = re.compile(r"\w+: ufw6?-")
MOST_PORTS = 60


@dataclass(frozen=True)
class Walked:
    """What becomes of a new connection from outside to a declared port."""

    port: str
    family: Family
    outcome: Outcome

    def __str__(self) -> str:
        return f"{self.port} over IPv{self.family}"


def walked(firewall: Firewall, settings: Settings) -> tuple[Walked, ...]:
    """Every declared port that ufw's files allow; the others are findings of those files."""
    found: list[Walked] = []
    for opening in openings(firewall, settings):
        if opening.interface or is_missing(firewall, opening):
            continue
        for family in opening.rule.families:
            if family in firewall.rulesets:
                found += _walked(firewall, opening, family)
    return tuple(dict.fromkeys(found))


def _walked(firewall: Firewall, opening: Opening, family: Family) -> Iterator[Walked]:
    ruleset = firewall.rulesets[family]
    for protocol in opening.rule.protocols:
        for port in _ports_of(opening.rule, foreign_texts(ruleset)):
            packet = packet_to(firewall, family, protocol, port, opening.rule.source)
            outcome = ruleset.outcome(packet)
            if opening.comment == SSH_COMMENT and outcome.verdict != "accept":
                outcome = _from_login(firewall, ruleset, packet) or outcome
            yield Walked(f"{port}/{protocol}", family, outcome)


def _from_login(firewall: Firewall, ruleset: Ruleset, packet: Packet) -> Outcome | None:
    """SSH may be limited to some sources: then that of this login counts."""
    client = firewall.login_client
    if client is None or client.version != packet.family:
        return None
    return ruleset.outcome(replace(packet, source=ip_network(client)))


def packet_to(
    firewall: Firewall, family: Family, protocol: str, port: int, source: Network | None = None
) -> Packet:
    """A new connection from outside; without a source, from an address that no rule lists."""
    anywhere = source is None or source.prefixlen == 0
    outside = firewall.outside
    return Packet(
        family,
        protocol,
        port,
        None if anywhere else source,
        outside.interface,
        outside.addresses[family],
    )


def _ports_of(rule: FirewallRule, foreign: list[str]) -> Iterable[int]:
    """The ends of its range, and the ports in it that a rule of others names."""
    if rule.first is None or rule.last is None:
        return (unnamed_port(foreign),)
    named = sorted(port for port, _ in named_ports(foreign) if rule.first <= port <= rule.last)
    return dict.fromkeys((rule.first, *named[:MOST_PORTS], rule.last))


def foreign_texts(ruleset: Ruleset) -> list[str]:
    """Every rule but those of ufw, Docker and gpuhost in the filter table."""
    texts = [
        rule
        for backend in ruleset.backends
        for table, chain, rule in backend.rules()
        if table != "filter" or not OWN_CHAINS.fullmatch(chain)
    ]
    return texts + [r for nft in ruleset.nft for chain in nft.chains.values() for r in chain.rules]


@dataclass(frozen=True)
class Undeclared:
    """Ports that are open without being declared, by one rule.

    + everything: the rule names no port
    + certain: False: gpuhost cannot say whether they are open
    """

    outcome: Outcome
    ports: tuple[str, ...]
    everything: bool
    certain: bool

    def __str__(self) -> str:
        return f"{self.outcome.rule} ({'every port' if self.everything else ', '.join(self.ports)})"


def undeclared(firewall: Firewall, settings: Settings) -> tuple[Undeclared, ...]:
    """What is accepted from anywhere though nothing declares it; rules of ufw are told by ufw."""
    declared = [o.rule for o in openings(firewall, settings) if o.interface is None]
    opened: dict[Outcome, dict[str, None]] = {}
    for ruleset in firewall.rulesets.values():
        for packet, is_named in _candidates(firewall, ruleset):
            if any(_covers(rule, packet) for rule in declared):
                continue
            outcome = replace(ruleset.outcome(packet), lists=())
            if outcome.is_closed or UFW_CHAIN.match(outcome.rule):
                continue
            if outcome.verdict == "accept" or not is_named:
                opened.setdefault(outcome, {})[f"{_asked(packet)}/{packet.protocol}"] = None
    return tuple(
        Undeclared(o, tuple(ports), not PORTS.search(o.rule), o.verdict == "accept")
        for o, ports in opened.items()
    )


def _candidates(firewall: Firewall, ruleset: Ruleset) -> Iterator[tuple[Packet, bool]]:
    """Packets to a port that nobody names, to those that rules of others name and programs serve.

    With each, whether its port is named.
    """
    foreign = foreign_texts(ruleset)
    port = unnamed_port(foreign)
    for protocol in PROTOCOLS:
        packet = packet_to(firewall, ruleset.family, protocol, port)
        yield packet, False
        # To a container: the address is not known.
        sent = replace(packet, asked_port=port, rewritten=True, local=False, destinations=())
        yield replace(sent, out="docker0"), False
    ports = named_ports(foreign)
    ports |= {(x.port, p) for x in firewall.listeners for p in PROTOCOLS if x.protocol == p}
    for port, protocol in sorted(ports)[:MOST_PORTS]:
        yield packet_to(firewall, ruleset.family, protocol, port), True


def _covers(rule: FirewallRule, packet: Packet) -> bool:
    protocol: Protocol = "udp" if packet.protocol == "udp" else "tcp"
    port = _asked(packet)
    everywhere = rule.source is None or rule.source.prefixlen == 0
    return packet.family in rule.families and everywhere and rule.mentions(port, port, protocol)


def _asked(packet: Packet) -> int:
    return packet.asked_port or packet.port
