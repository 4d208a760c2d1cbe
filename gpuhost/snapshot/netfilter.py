"""The kernel's rules about packets, and where other machines' packets come in."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from ipaddress import ip_interface
from shlex import quote

from gpuhost.domain.firewall.journey import Ruleset
from gpuhost.domain.firewall.nftables import IPTABLES_OWN, NftTable, parse_nft_tables
from gpuhost.domain.firewall.packet import INSIDE, Address, Network
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Tables
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

SAVED: dict[Family, str] = {4: "iptables_save", 6: "ip6tables_save"}
OTHER: dict[Family, str] = {4: "iptables_other", 6: "ip6tables_other"}
TOOLS: dict[Family, str] = {4: "iptables", 6: "ip6tables"}
NO_SUCH_COMMAND = 127
# iptables-save of 1.8 about chains that nft made in a table with one of iptables' names.
INCOMPATIBLE = re.compile(r"Table `(\w+)' (?:contains incompatible|is incompatible)")
ROUTES = "/proc/net/route"
DEFAULT_ROUTE = "00000000"
# The rules of the other backend of iptables, which the kernel asks too. The legacy one has rules
# only if its module is loaded, and lists its tables there.
OTHER_BACKEND = """case $({tool} --version) in
*nf_tables*) grep -q . {names} || exit 0; exec {tool}-legacy-save ;;
esac
if command -v {tool}-nft-save >/dev/null; then exec {tool}-nft-save; fi"""
# All names, and what is in the tables that iptables-save does not show; no elements of sets.
NFT = f"""tables=$(nft list tables) || exit
echo "$tables"
echo "$tables" | while read -r _ family name; do
    case $family/$name in
    {" | ".join(f"ip*/{name}" for name in sorted(IPTABLES_OWN))}) ;;
    *) nft -t list table "$family" "$name" ;;
    esac
done"""


def _other(family: Family, names: str) -> ProbeCommand:
    script = OTHER_BACKEND.format(tool=TOOLS[family], names=names)
    return ProbeCommand(OTHER[family], f"sh -c {quote(script)}", only_if=f"[ -r {names} ]")


REQUEST = Request(
    files=(ROUTES,),
    probes=(
        ProbeCommand(SAVED[4], "iptables-save", seconds=20),
        ProbeCommand(SAVED[6], "ip6tables-save", seconds=20),
        _other(4, "/proc/net/ip_tables_names"),
        _other(6, "/proc/net/ip6_tables_names"),
        ProbeCommand("nft_tables", f"sh -c {quote(NFT)}", seconds=20),
        ProbeCommand("addresses", "ip -o address show", at_once=True),
    ),
)


@dataclass(frozen=True)
class Outside:
    """Where connections from other machines come in.

    + interface: of the default route; None: not known
    + addresses: the host's own there; empty: not known
    """

    interface: str | None
    addresses: Mapping[Family, tuple[Address, ...]]


@dataclass(frozen=True)
class Netfilter:
    """Every rule that a packet meets.

    + kernel: iptables' tables per version of IP; no 6 if the kernel has no IPv6
    + rulesets: with the other backend's tables, and those of nftables
    + nft: tables of nftables that iptables does not show
    """

    kernel: Mapping[Family, Tables]
    rulesets: Mapping[Family, Ruleset]
    nft: tuple[NftTable, ...]
    outside: Outside

    @classmethod
    def read(cls, probes: Probes) -> Netfilter:
        kernel = _kernel(probes)
        nft = parse_nft_tables(probes.get("nft_tables").out)
        addresses = tuple(_addresses(probes.get("addresses").out))
        rulesets = {}
        for family, tables in kernel.items():
            other, unread = _other_backend(probes, family)
            rulesets[family] = Ruleset(
                family,
                (tables, other) if other else (tables,),
                tuple(table for table in nft if table.filters(family)),
                (*unread, *_unread_chains(probes, family), *_unread_nft(probes)),
                tuple((name, network) for name, _, network in addresses),
            )
        return cls(kernel, rulesets, nft, _outside(probes, addresses))


def _kernel(probes: Probes) -> dict[Family, Tables]:
    """Without iptables on the host, or IPv6 in the kernel, there are no rules."""
    tables: dict[Family, Tables] = {}
    for family, name in SAVED.items():
        probe = probes.get(name)
        if probe.rc is None:
            raise NotRead(f"{name.replace('_', '-')} timed out")
        if probe.rc == 0:
            tables[family] = Tables.parse(probe.out)
        elif probe.rc == NO_SUCH_COMMAND:
            tables[family] = Tables({})
        elif family == 4:
            raise NotRead(f"iptables-save: {probe.complaint}")
    return tables


def _other_backend(probes: Probes, family: Family) -> tuple[Tables | None, tuple[str, ...]]:
    """The tables of the other backend; what of it could not be read."""
    if OTHER[family] not in probes:
        return None, ()
    probe = probes.get(OTHER[family])
    if probe.rc != 0:
        return None, (f"the other backend of {TOOLS[family]}: {probe.complaint}",)
    tables = Tables.parse(probe.out)
    return (tables if any(tables.rules()) else None), ()


def _unread_chains(probes: Probes, family: Family) -> tuple[str, ...]:
    probe = probes.get(SAVED[family])
    tables = dict.fromkeys(INCOMPATIBLE.findall(probe.out + probe.err))
    return tuple(f"chains of the table {name} that only nft lists" for name in tables)


def _unread_nft(probes: Probes) -> tuple[str, ...]:
    probe = probes.get("nft_tables")
    return () if probe.rc in (0, NO_SUCH_COMMAND) else (f"nft list tables: {probe.complaint}",)


def _addresses(shown: str) -> Iterator[tuple[str, Address, Network]]:
    """`ip -o address show`: 2: eth0    inet 192.0.2.2/24 brd 192.0.2.255 scope global eth0…"""
    for line in shown.splitlines():
        words = line.split()
        if len(words) < 4 or words[2] not in ("inet", "inet6"):
            continue
        try:
            address = ip_interface(words[3])
        except ValueError:
            continue
        yield words[1].partition("@")[0], address.ip, address.network


def _outside(probes: Probes, addresses: tuple[tuple[str, Address, Network], ...]) -> Outside:
    interface = default_interface(probes.file(ROUTES) or "")
    own = [
        address
        for name, address, _ in addresses
        if (name == interface if interface else not INSIDE.fullmatch(name))
        and not address.is_link_local
    ]
    families: tuple[Family, ...] = (4, 6)
    return Outside(interface, {f: tuple(a for a in own if a.version == f) for f in families})


def default_interface(routes: str) -> str | None:
    """The interface of the default route with the lowest metric, of IPv4."""
    rows = [line.split() for line in routes.splitlines()[1:]]
    default = [
        (int(row[6]), row[0])
        for row in rows
        if len(row) >= 8 and row[1] == row[7] == DEFAULT_ROUTE and row[6].isdecimal()
    ]
    return min(default)[1] if default else None
