"""A packet of a connection from outside, and how surely something matches it."""

from __future__ import annotations

import re
from dataclasses import dataclass
from enum import IntEnum
from ipaddress import IPv4Address, IPv4Network, IPv6Address, IPv6Network

from gpuhost.domain.firewall.rule import Family

Address = IPv4Address | IPv6Address
Network = IPv4Network | IPv6Network

NUMBERS = {"6": "tcp", "17": "udp", "132": "sctp", "33": "dccp"}
# The port that a client's own socket gets.
CLIENT_PORTS = (32768, 60999)
# Where no other machine's connection comes in.
INSIDE = re.compile(
    r"lo|(docker|br-|veth|virbr|tailscale|wg|awg|wt|zt|nebula|tun|utun|tap|cni|flannel|cali|vxlan"
    r"|kube|podman|lxd|lxc|incus|vmnet|vboxnet).*"
)
# A network as wide as this may hold any address.
WIDE: dict[Family, int] = {4: 7, 6: 15}


class Match(IntEnum):
    """Ordered: all conditions together match as the lowest of them."""

    NO = 0
    MAYBE = 1
    YES = 2

    def inverted(self) -> Match:
        return Match(2 - self)


def matches(yes: bool) -> Match:
    return Match.YES if yes else Match.NO


@dataclass(frozen=True)
class Packet:
    """A new connection, at one place of its way.

    + port: the destination's, after a rewrite
    + source: where it comes from; None: from an address that no rule lists
    + interface: where it arrives; None: not known, but from outside
    + destinations: addresses, of which it has one; empty: not known
    + asked_port: the port before a rewrite; rewritten: whether DNAT changed the destination
    + local: it is for the host itself
    + out: the interface through which it is forwarded; None: not known
    + established: it is not the first one any more; untracked: the kernel does not follow it
    """

    family: Family
    protocol: str
    port: int
    source: Network | None = None
    interface: str | None = None
    destinations: tuple[Address, ...] = ()
    asked_port: int = 0
    rewritten: bool = False
    local: bool = True
    out: str | None = None
    marked: bool = False
    established: bool = False
    untracked: bool = False

    def __str__(self) -> str:
        return f"{self.asked_port or self.port}/{self.protocol} over IPv{self.family}"
