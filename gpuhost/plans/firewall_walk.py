"""The firewall judged by its effect: the kernel's rules walked for the packets that matter."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass, replace
from ipaddress import ip_network

from gpuhost.domain.firewall.journey import Outcome, Ruleset
from gpuhost.domain.firewall.packet import WIDE, Network, Packet
from gpuhost.domain.firewall.ports import PROTOCOLS, named_ports, unnamed_port
from gpuhost.domain.firewall.rule import Family, FirewallRule, Protocol
from gpuhost.plans.firewall import SSH_COMMENT, Opening, is_missing, openings
from gpuhost.settings import Settings
from gpuhost.snapshot.firewall import Firewall

# Chains of ufw, Docker and gpuhost in the filter table: what they allow is known from their files.
OWN_CHAINS = re.compile(r"(ufw6?|GPUHOST|DOCKER)(-.*)?")
UFW_CHAIN = re.compile(r"\w+: ufw6?-")
MOST_PORTS = 60
EVERY_PORT = "every port"
# The network of a rule that does not close, of iptables and of nftables.
SOURCE = re.compile(
    r"^(?!.*(?:-j (?:DROP|REJECT|RETURN)|\b(?:drop|reject|return)\b))"
    r".*?(?:(?<!! )-s (\S+)|\bip6? saddr ([0-9a-f.:/]+))"
)


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

    + ports: EVERY_PORT alone if it is not about named ones
    + everything: also from everywhere
    + certain: False: gpuhost cannot say whether they are open
    """

    outcome: Outcome
    ports: tuple[str, ...]
    everything: bool
    certain: bool

    def __str__(self) -> str:
        return f"{self.outcome.rule} ({', '.join(self.ports)})"


def undeclared(firewall: Firewall, settings: Settings) -> tuple[Undeclared, ...]:
    """What is accepted though nothing declares it; rules of ufw are told by ufw."""
    declared = [o.rule for o in openings(firewall, settings) if o.interface is None]
    opened: dict[Outcome, list[_Asked]] = {}
    for ruleset in firewall.rulesets.values():
        for asked in _asked(firewall, ruleset):
            if asked.is_covered(declared):
                continue
            outcome = replace(ruleset.outcome(asked.packet), lists=())
            if outcome.is_closed or UFW_CHAIN.match(outcome.rule):
                continue
            if outcome.verdict == "accept" or not asked.is_named:
                opened.setdefault(outcome, []).append(asked)
    return tuple(_undeclared(outcome, asked) for outcome, asked in opened.items())


def _undeclared(outcome: Outcome, asked: list[_Asked]) -> Undeclared:
    from_everywhere = any(not each.is_named and each.is_from_anywhere for each in asked)
    ports = tuple(dict.fromkeys(map(str, asked)))
    return Undeclared(
        outcome,
        (EVERY_PORT,) if EVERY_PORT in ports else ports,
        from_everywhere,
        outcome.verdict == "accept" or not from_everywhere,
    )


@dataclass(frozen=True)
class _Asked:
    """A packet, and whether its port is one that a rule or a program has."""

    packet: Packet
    is_named: bool

    @property
    def port(self) -> int:
        return self.packet.asked_port or self.packet.port

    @property
    def is_from_anywhere(self) -> bool:
        source = self.packet.source
        return source is None or source.prefixlen <= WIDE[self.packet.family]

    def __str__(self) -> str:
        return f"{self.port}/{self.packet.protocol}" if self.is_named else EVERY_PORT

    def is_covered(self, declared: Iterable[FirewallRule]) -> bool:
        protocol: Protocol = "udp" if self.packet.protocol == "udp" else "tcp"
        family = self.packet.family
        port = FirewallRule(self.port, self.port, protocol, self.packet.source).in_family(family)
        return any(
            family in rule.families and rule.in_family(family).covers(port) for rule in declared
        )


def _asked(firewall: Firewall, ruleset: Ruleset) -> Iterator[_Asked]:
    """Packets to a port that nobody names, to those that rules of others name and programs serve;
    from anywhere, and from the networks that rules of others name.
    """
    foreign = foreign_texts(ruleset)
    unnamed = unnamed_port(foreign)
    for protocol in PROTOCOLS:
        packet = packet_to(firewall, ruleset.family, protocol, unnamed)
        yield _Asked(packet, False)
        # To a container: the address is not known.
        sent = replace(packet, asked_port=unnamed, rewritten=True, local=False, destinations=())
        yield _Asked(replace(sent, out="docker0"), False)
    ports = named_ports(foreign)
    ports |= {(x.port, p) for x in firewall.listeners for p in PROTOCOLS if x.protocol == p}
    for port, protocol in sorted(ports)[:MOST_PORTS]:
        yield _Asked(packet_to(firewall, ruleset.family, protocol, port), True)
    for text in list(filter(SOURCE.search, foreign))[:MOST_PORTS]:
        yield from _from_source(firewall, ruleset.family, text, unnamed)


def _from_source(firewall: Firewall, family: Family, rule: str, unnamed: int) -> Iterator[_Asked]:
    """Packets of the network to which a rule is limited, to its ports."""
    match = SOURCE.search(rule)
    try:
        source = ip_network(match[1] or match[2], strict=False) if match else None
    except ValueError:
        return
    if source is None or source.version != family or not source.prefixlen:
        return
    named = named_ports([rule])
    for port, protocol in named or {(unnamed, protocol) for protocol in PROTOCOLS}:
        yield _Asked(packet_to(firewall, family, protocol, port, source), bool(named))
