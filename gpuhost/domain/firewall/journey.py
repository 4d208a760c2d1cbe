"""What becomes of a connection from outside: its way through all tables of the kernel."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from ipaddress import ip_address
from typing import Literal

from gpuhost.domain.firewall.iptables_rule import Rule
from gpuhost.domain.firewall.nftables import NftTable
from gpuhost.domain.firewall.nftables import parse_rule as parse_nft_rule
from gpuhost.domain.firewall.packet import Address, Network, Packet
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Chains, Tables
from gpuhost.domain.firewall.walk import CLOSING, REWRITING, Step, Walk

Verdict = Literal["accept", "drop", "reject", "unknown"]
BEFORE_ROUTING = ("raw", "mangle")
AFTER_ROUTING = ("mangle", "filter", "security")
TOOLS: dict[Family, str] = {4: "iptables", 6: "ip6tables"}


@dataclass(frozen=True)
class Ruleset:
    """Everything that filters the packets of one version of IP, and where it is forwarded.

    + backends: iptables' tables; two where both the nft and the legacy backend have rules
    + nft: tables that iptables does not show
    + unread: what may filter too, and could not be read
    + networks: the networks behind the host's interfaces
    """

    family: Family
    backends: tuple[Tables, ...]
    nft: tuple[NftTable, ...] = ()
    unread: tuple[str, ...] = ()
    networks: tuple[tuple[str, Network], ...] = ()

    def outcome(self, packet: Packet) -> Outcome:
        """What becomes of a new connection from outside: of its first packet, and of TCP's next.

        One that is not for the host is on its way to be forwarded already.
        """
        journey = Journey(self, packet)
        if packet.local:
            journey.enter_all("PREROUTING", BEFORE_ROUTING)
            journey.rewrite()
        journey.enter_all(journey.hook, AFTER_ROUTING)
        first = journey.outcome()
        if first.verdict != "accept" or packet.protocol != "tcp":
            return first
        journey.follow(packet)
        later = journey.outcome()
        return replace(first, lists=later.lists) if later.verdict == "accept" else later


@dataclass(frozen=True)
class Outcome:
    """What becomes of a packet.

    + rule: the one that decides it, with its tool, table and chain
    + lists: sets that may hold sources for which it is otherwise
    + packet: as the last chain saw it
    """

    verdict: Verdict
    rule: str
    lists: tuple[str, ...] = ()

    @property
    def is_closed(self) -> bool:
        return self.verdict in ("drop", "reject")


class Journey:
    """A packet on its way; every chain of a hook must let it pass."""

    def __init__(self, ruleset: Ruleset, packet: Packet) -> None:
        self.ruleset = ruleset
        self.packet = packet
        self.closed: Outcome | None = None
        self.unknown = [Outcome("unknown", text) for text in ruleset.unread]
        self.accepted = Outcome("accept", "no rule")
        self.lists: list[str] = []

    @property
    def hook(self) -> str:
        return "INPUT" if self.packet.local else "FORWARD"

    def follow(self, arriving: Packet) -> None:
        """The next packet of the connection, which is rewritten as the first was."""
        sent, self.packet = self.packet, replace(arriving, established=True)
        if arriving.local:
            self.enter_all("PREROUTING", BEFORE_ROUTING)
        self.packet = replace(sent, established=True)
        self.enter_all(self.hook, AFTER_ROUTING)

    def outcome(self) -> Outcome:
        result = self.closed or next(iter(self.unknown), self.accepted)
        return replace(result, lists=tuple(dict.fromkeys(self.lists)))

    def enter_all(self, hook: str, tables: Sequence[str]) -> None:
        for backend in self.ruleset.backends:
            for table in tables:
                if hook in backend.table(table):
                    self._judge(self._steps(backend.table(table), hook, Rule.parse), table)
        for nft in self.ruleset.nft:
            for chain in nft.base_chains(hook):
                self._judge(self._steps(nft.chains, chain, parse_nft_rule), nft=nft.name)

    def _steps(self, chains: Chains, chain: str, parse: Callable[[str], Rule]) -> list[Step]:
        walk = Walk(chains, self.packet, parse)
        steps = walk.through(chain)
        self.packet = walk.packet
        self.lists += walk.lists
        return steps

    def _judge(self, steps: list[Step], table: str = "filter", nft: str = "") -> None:
        """The last step is the certain one: what differs from it comes before."""
        last = steps[-1]
        differing = [s for s in steps if _kind(s) != _kind(last)]
        doubtful = differing or [step for step in steps if _kind(step) == "unknown"]
        if doubtful:
            self.unknown.append(Outcome("unknown", self._named(doubtful[0], table, nft)))
        elif last.target in CLOSING:
            kind: Verdict = "drop" if last.target == "DROP" else "reject"
            self.closed = self.closed or Outcome(kind, self._named(last, table, nft))
        elif table == "filter" and not (nft and last.rule.startswith("the policy")):
            self.accepted = Outcome("accept", self._named(last, table, nft))

    def _named(self, step: Step, table: str, nft: str = "") -> str:
        tool = f"nftables {nft}" if nft else TOOLS[self.ruleset.family]
        return f"{tool}{'' if table == 'filter' else f' -t {table}'}: {step.rule}"

    def rewrite(self) -> None:
        """DNAT: Docker's published ports, and what others forward."""
        for backend in self.ruleset.backends:
            chains = backend.table("nat")
            steps = self._steps(chains, "PREROUTING", Rule.parse) if "PREROUTING" in chains else []
            found = [step for step in steps if step.target in (*REWRITING, "?")]
            if not found:
                continue
            step = found[0]
            rewritten = self._rewritten(step) if step.certain and step.target != "?" else None
            if rewritten is None or any(other.to != step.to for other in found):
                self.unknown.append(Outcome("unknown", self._named(step, "nat")))
            else:
                self.packet = rewritten
                return

    def _rewritten(self, step: Step) -> Packet | None:
        """The packet with its new destination; None if it is not one address and port."""
        asked = self.packet.asked_port or self.packet.port
        if step.target == "REDIRECT":
            port = int(step.to) if step.to.isdecimal() else None
            return replace(self.packet, port=port, asked_port=asked) if port else None
        host, _, port_text = step.to.rpartition(":")
        if "[" not in step.to and step.to.count(":") != 1:
            host, port_text = step.to, ""
        try:
            address = ip_address(host.strip("[]")) if host else None
            port = int(port_text or self.packet.port)
        except ValueError:
            return None
        packet = replace(self.packet, port=port, asked_port=asked, rewritten=True)
        if address is None or address in self.packet.destinations:
            return packet
        out = self._interface_to(address)
        return replace(packet, destinations=(address,), local=False, out=out)

    def _interface_to(self, address: Address) -> str | None:
        inside = [(net.prefixlen, name) for name, net in self.ruleset.networks if address in net]
        return max(inside)[1] if inside else None


def _kind(step: Step) -> str:
    if step.target in CLOSING:
        return "closed"
    return "open" if step.target in ("ACCEPT", *REWRITING) else "unknown"
