"""The networks that the host reaches without a gateway, its name servers, and who is logged in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from contextlib import suppress
from dataclasses import dataclass
from ipaddress import IPv4Address, IPv4Network, IPv6Address, ip_address

from gpuhost.snapshot.netfilter import ROUTES, default_interface
from gpuhost.snapshot.probes import Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

# The second has the servers where the first names only systemd-resolved.
RESOLVERS = ("/etc/resolv.conf", "/run/systemd/resolve/resolv.conf")
NAME_SERVER = re.compile(r"^\s*nameserver\s+([0-9A-Fa-f:.]+\S*)\s*$", re.MULTILINE)
STUB = IPv4Address("127.0.0.53")
# Of `ip -o address show`.
ADDRESSED = re.compile(r"^\d+: ([^\s@]+)\S* +inet ", re.MULTILINE)
NOWHERE = "00000000"
MTU = re.compile(r"^/sys/class/net/([^/\s]+)/mtu:(\d{1,7})$", re.MULTILINE | re.ASCII)
HEX = re.compile(r"[0-9A-Fa-f]{8}")
REQUEST = Request(
    files=(ROUTES, *RESOLVERS),
    probes=(
        ProbeCommand("mtu", "grep -sH '' /sys/class/net/*/mtu", absent=Probe(1), at_once=True),
    ),
)


@dataclass(frozen=True)
class LocalNetworks:
    """All of IPv4.

    + links: networks without a gateway, by interface; empty: the kernel's table was not read
    + addressed: interfaces with an address; empty: not read
    + name_servers: not those on the host itself
    + way_out: the interface of the default route; None: not known
    + mtu: of each interface
    + login: where this login comes from; None: not over SSH, or over IPv6
    + servers: of the file that Docker reads, IPv6 too
    + has_gateway: some route leads beyond the links
    """

    links: tuple[tuple[str, IPv4Network], ...]
    addressed: frozenset[str]
    name_servers: tuple[IPv4Address, ...]
    way_out: str | None
    mtu: Mapping[str, int]
    login: IPv4Address | None
    servers: tuple[IPv4Address | IPv6Address, ...]
    has_gateway: bool

    def for_containers(self, *, ipv6: bool) -> list[IPv4Address | IPv6Address]:
        """The servers that a container of the default bridge can ask: none on the host's own
        loopback, and without an IPv6 network none of IPv6.
        """
        return [one for one in self.servers if not one.is_loopback and (ipv6 or one.version == 4)]

    @classmethod
    def read(cls, probes: Probes) -> LocalNetworks:
        first, second = (_name_servers(probes.file(path) or "") for path in RESOLVERS)
        outside = {one for one in (*first, *second) if not one.is_loopback}
        routes = probes.file(ROUTES) or ""
        client = probes.get("ssh_connection").out.split()[:1]
        return cls(
            tuple(_links(routes)),
            frozenset(ADDRESSED.findall(probes.get("addresses").out)),
            tuple(sorted(one for one in outside if isinstance(one, IPv4Address))),
            default_interface(routes),
            {name: int(size) for name, size in MTU.findall(_mtu(probes))},
            _address(client[0]) if client else None,
            # moby reads the second file where the first names nobody but systemd-resolved.
            second if first == (STUB,) else first,
            any(gateway != NOWHERE for gateway in _gateways(routes)),
        )


def _name_servers(text: str) -> tuple[IPv4Address | IPv6Address, ...]:
    found = []
    for name in NAME_SERVER.findall(text):
        with suppress(ValueError):
            found.append(ip_address(name.partition("%")[0]))
    return tuple(found)


def _gateways(table: str) -> list[str]:
    rows = (line.split() for line in table.splitlines()[1:])
    return [row[2] for row in rows if len(row) >= 8]


def _mtu(probes: Probes) -> str:
    return probes.get("mtu").out if "mtu" in probes else ""


def _links(table: str) -> Iterator[tuple[str, IPv4Network]]:
    """Interface, destination, gateway, …, mask as the eighth; numbers in the machine's order."""
    for line in table.splitlines()[1:]:
        words = line.split()
        if len(words) < 8 or not all(HEX.fullmatch(words[n]) for n in (1, 2, 7)):
            continue
        if words[2] != NOWHERE or words[7] == NOWHERE:
            continue
        number, mask = (int.from_bytes(bytes.fromhex(words[n]), "little") for n in (1, 7))
        yield words[0], IPv4Network((number, mask.bit_count()), strict=False)


def _address(text: str) -> IPv4Address | None:
    try:
        return IPv4Address(text)
    except ValueError:
        return None
