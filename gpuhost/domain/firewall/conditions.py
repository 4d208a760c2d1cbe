"""Whether the options of an iptables rule match a packet, one test per option.

A condition that cannot be judged matches MAYBE. Of a packet without a known source the address is
one that nobody lists: a rule for one network, for addresses seen before (`recent`), or for many
connections at once (`connlimit`) does not match it.
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial
from ipaddress import IPv4Network, IPv6Network, ip_network

from gpuhost.domain.firewall import headers
from gpuhost.domain.firewall.headers import Test, always, never, ranges
from gpuhost.domain.firewall.packet import (
    CLIENT_PORTS,
    INSIDE,
    NUMBERS,
    WIDE,
    Match,
    Network,
    Packet,
    matches,
)

Condition = Callable[[Packet], Match]


def condition_of(negated: bool, name: str, values: tuple[str, ...]) -> Condition:
    """The test of one option of iptables, as `iptables-save` prints it."""
    if is_source_set(negated, name, values):
        return is_listed
    test = TESTS.get(name)
    if test is None or not (values or name in ALONE):
        return cannot_tell
    judge = partial(_judge, test, values)
    return partial(_inverted, judge) if negated else judge


def _judge(test: Test, values: tuple[str, ...], packet: Packet) -> Match:
    try:
        return test(values, packet)
    except ValueError:
        return Match.MAYBE


def _inverted(condition: Condition, packet: Packet) -> Match:
    return condition(packet).inverted()


def cannot_tell(packet: Packet) -> Match:
    return Match.MAYBE


def is_source_set(negated: bool, name: str, values: tuple[str, ...]) -> bool:
    """A set that must hold the source, alone or with its port; the addresses of countries."""
    if name == "--source-country":
        return bool(values) and not negated
    return (
        name == "--match-set" and not negated and len(values) == 2 and "src" in values[1].split(",")
    )


def is_listed(packet: Packet) -> Match:
    """One known source may be in a set; of many, an address that nobody lists is meant."""
    source = packet.source
    return Match.NO if source is None or source.num_addresses > 1 else Match.MAYBE


# --- one test per option -------------------------------------------------------------------


def _protocol(values: tuple[str, ...], packet: Packet) -> Match:
    name = NUMBERS.get(values[0], values[0]).lower()
    return matches(name in ("all", "0", packet.protocol))


@lru_cache(maxsize=1024)
def _network(text: str) -> Network:
    return ip_network(text, strict=False)


def _source(values: tuple[str, ...], packet: Packet) -> Match:
    network = _network(values[0])
    if network.prefixlen == 0:
        return Match.YES
    if packet.source is None:
        return Match.MAYBE if network.prefixlen <= WIDE[packet.family] else Match.NO
    return matches(_contains(network, packet.source))


def _contains(network: Network, other: Network) -> bool:
    if isinstance(network, IPv4Network):
        return isinstance(other, IPv4Network) and other.subnet_of(network)
    return isinstance(other, IPv6Network) and other.subnet_of(network)


def _destination(values: tuple[str, ...], packet: Packet) -> Match:
    network = _network(values[0])
    if network.prefixlen == 0:
        return Match.YES
    if network.is_multicast or network.is_loopback or str(network) == "255.255.255.255/32":
        return Match.NO
    inside = [address in network for address in packet.destinations]
    if not inside or (any(inside) and not all(inside)):
        return Match.MAYBE
    return matches(all(inside))


def _interface(values: tuple[str, ...], packet: Packet) -> Match:
    if packet.interface is not None:
        return matches(_is_named(values[0], packet.interface))
    if values[0] == "+":
        return Match.YES
    return Match.NO if INSIDE.fullmatch(values[0]) else Match.MAYBE


def _out(values: tuple[str, ...], packet: Packet) -> Match:
    if packet.local:
        return Match.NO
    return Match.MAYBE if packet.out is None else matches(_is_named(values[0], packet.out))


def _is_named(pattern: str, name: str) -> bool:
    return name.startswith(pattern[:-1]) if pattern.endswith("+") else name == pattern


def _in_ranges(port: int, text: str) -> Match:
    return matches(any(first <= port <= last for first, last in ranges(text)))


def _port(values: tuple[str, ...], packet: Packet) -> Match:
    return _in_ranges(packet.port, values[0])


def _asked_port(values: tuple[str, ...], packet: Packet) -> Match:
    return _in_ranges(packet.asked_port or packet.port, values[0])


def _source_port(values: tuple[str, ...], packet: Packet) -> Match:
    return max(_overlap(first, last) for first, last in ranges(values[0]))


def _overlap(first: int, last: int) -> Match:
    low, high = CLIENT_PORTS
    if first <= low and high <= last:
        return Match.YES
    # A client that binds a well-known port is not meant.
    return Match.NO if last < low or first > high or first == last else Match.MAYBE


def _either_port(values: tuple[str, ...], packet: Packet) -> Match:
    return max(_port(values, packet), _source_port(values, packet))


def _state(values: tuple[str, ...], packet: Packet) -> Match:
    states = values[0].split(",")
    now = "ESTABLISHED" if packet.established else "NEW"
    if packet.untracked:
        now = "UNTRACKED"
    return matches(now in states or ("DNAT" in states and packet.rewritten))


def _direction(values: tuple[str, ...], packet: Packet) -> Match:
    return matches(values[0] == "ORIGINAL")


def _flags(values: tuple[str, ...], packet: Packet) -> Match:
    """The first packet of a TCP connection has SYN, and no other flag; the next has ACK."""
    mask, compared = values
    its = "ACK" if packet.established else "SYN"
    expected = {its} if mask == "ALL" or its in mask.split(",") else set()
    return matches(set(compared.split(",")) - {"NONE"} == expected)


def _destination_type(values: tuple[str, ...], packet: Packet) -> Match:
    return matches(("LOCAL" if packet.local else "UNICAST") in values[0].split(","))


def _source_type(values: tuple[str, ...], packet: Packet) -> Match:
    return matches("UNICAST" in values[0].split(","))


def _mark(values: tuple[str, ...], packet: Packet) -> Match:
    if packet.marked:
        return Match.MAYBE
    value, _, mask = values[0].partition("/")
    return matches(int(value, 0) & int(mask or "0xffffffff", 0) == 0)


def _source_range(values: tuple[str, ...], packet: Packet) -> Match:
    return Match.NO if packet.source is None else Match.MAYBE


def _syn(values: tuple[str, ...], packet: Packet) -> Match:
    return matches(packet.protocol == "tcp" and not packet.established)


def _set(values: tuple[str, ...], packet: Packet) -> Match:
    """Docker 28.0's set of the networks of its bridges; nobody knows what is in another one."""
    is_dockers = values[0].startswith("docker-ext-bridges-v") and values[1:] == ("dst",)
    return matches(not packet.local) if is_dockers else Match.MAYBE


# Modules whose options are judged below; of any other module nobody can tell.
MODULES = {
    *("tcp", "udp", "sctp", "dccp", "icmp", "icmp6", "ipv6-icmp", "multiport", "conntrack"),
    *("state", "comment", "addrtype", "limit", "hashlimit", "connlimit", "recent", "mark"),
    *("set", "iprange", "rt", "frag", "ah", "esp", *headers.MODULES),
}
FIRST = ("-p", "--dport", "--dports")
# The options that stand without a value.
ALONE = {
    *("--syn", "--set", "--rcheck", "--update", "--remove"),
    *("--rsource", "--rdest", "--rttl", "--reap", "--connlimit-saddr", "--connlimit-daddr"),
    *headers.ALONE,
}
# The limits of a rate are those of ordinary traffic: this connection is within them, and the first
# of its source (iptables-extensions(8): limit, hashlimit, connlimit, recent).
TESTS: dict[str, Test] = {
    "-p": _protocol,
    "-s": _source,
    "-d": _destination,
    "-i": _interface,
    "-o": _out,
    **dict.fromkeys(("--dport", "--dports"), _port),
    **dict.fromkeys(("--sport", "--sports"), _source_port),
    "--ports": _either_port,
    **dict.fromkeys(("--ctstate", "--state"), _state),
    "--ctorigdstport": _asked_port,
    "--ctdir": _direction,
    "--ctproto": _protocol,
    "--tcp-flags": _flags,
    "--syn": _syn,
    "--dst-type": _destination_type,
    "--src-type": _source_type,
    "--mark": _mark,
    "--src-range": _source_range,
    "--match-set": _set,
    **dict.fromkeys(("--icmp-type", "--icmpv6-type", "--comment"), always),
    **dict.fromkeys(("--limit", "--limit-burst", "--hashlimit", "--hashlimit-upto"), always),
    **dict.fromkeys(("--connlimit-upto", "--connlimit-mask"), always),
    **dict.fromkeys(("--connlimit-saddr", "--connlimit-daddr"), always),
    **dict.fromkeys(("--connlimit-above", "--hashlimit-above"), never),
    **{
        f"--hashlimit-{option}": always
        for option in (
            *("burst", "mode", "name", "srcmask", "dstmask", "htable-size", "htable-max"),
            *("htable-expire", "htable-gcinterval", "rate-match", "rate-interval"),
        )
    },
    **dict.fromkeys(("--set", "--name", "--seconds", "--hitcount", "--mask"), always),
    **dict.fromkeys(("--rsource", "--rdest", "--rttl", "--reap"), always),
    **dict.fromkeys(("--rcheck", "--update", "--remove"), never),
    **headers.TESTS,
}
