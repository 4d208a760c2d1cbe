"""The rulesets of rulesets.yaml, and the packets that meet them."""

from __future__ import annotations

from dataclasses import dataclass
from ipaddress import ip_address, ip_network
from pathlib import Path
from typing import Any

import yaml

from gpuhost.domain.firewall.journey import Ruleset
from gpuhost.domain.firewall.nftables import parse_nft_tables
from gpuhost.domain.firewall.packet import Packet
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Tables

RULESETS: list[dict[str, Any]] = yaml.safe_load(
    Path(__file__).with_name("rulesets.yaml").read_text("utf-8")
)
ADDRESS: dict[Family, str] = {4: "198.51.100.2", 6: "fd51::2"}
NEIGHBOUR: dict[Family, str] = {4: "198.51.100.9", 6: "fd51::9"}


@dataclass(frozen=True)
class Case:
    """A ruleset, a packet, and its right verdict. tool: iptables, ip6tables or nft."""

    ruleset: str
    tool: str
    rules: str
    packet: dict[str, Any]
    kernel: bool

    def __str__(self) -> str:
        source = f" from {self.packet['from']}" if "from" in self.packet else ""
        return f"{self.ruleset}: {self.packet['port']}/{self.protocol}{source}"

    @property
    def protocol(self) -> str:
        return str(self.packet.get("protocol", "tcp"))

    @property
    def family(self) -> Family:
        return 6 if self.tool == "ip6tables" else 4

    def read(self) -> tuple[Ruleset, Packet]:
        family = self.family
        source = self.packet.get("from", NEIGHBOUR[family])
        nft = parse_nft_tables(self.rules) if self.tool == "nft" else ()
        ruleset = Ruleset(
            family,
            () if nft else (Tables.parse(self.rules),),
            tuple(table for table in nft if table.filters(family)),
            networks=(
                ("eth0", ip_network("198.51.100.0/24")),
                ("docker0", ip_network("172.17.0.0/16")),
            ),
        )
        return ruleset, Packet(
            family,
            self.protocol,
            self.packet["port"],
            None if source == "any" else ip_network(source),
            "eth0",
            (ip_address(ADDRESS[family]),),
        )


CASES = [
    Case(
        ruleset["name"],
        ruleset.get("tool", "iptables"),
        ruleset["rules"],
        packet,
        ruleset.get("kernel", True),
    )
    for ruleset in RULESETS
    for packet in ruleset["packets"]
]
