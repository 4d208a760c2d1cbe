"""What the headers of an ordinary new connection hold: rules that drop odd packets ask for it.

Names and meanings: iptables-extensions(8).
"""

from __future__ import annotations

from collections.abc import Callable
from functools import lru_cache, partial

from gpuhost.domain.firewall.packet import Match, Packet, matches

Values = tuple[str, ...]
Test = Callable[[Values, Packet], Match]
Range = tuple[int, int]
# After its way through the Internet, of the 64, 128 or 255 that systems start with.
TTL: Range = (32, 255)
# What the ends of a TCP connection offer each other; without a path that needs smaller packets.
MSS: Range = (536, 65495)
SYN_LENGTH: Range = (40, 80)
LENGTH: dict[str, Range] = {"tcp": (40, 1500)}
ANY_LENGTH: Range = (28, 1500)
MSS_OPTION = 2


@lru_cache(maxsize=1024)
def ranges(text: str) -> list[Range]:
    """Numbers as iptables prints them: 80, 8000:8100, 22,80,8000:8100."""
    found = []
    for part in text.split(","):
        first, colon, last = part.partition(":")
        found.append((int(first or 0), int(last or 65535) if colon else int(first)))
    return found


def overlap(text: str, usual: Range) -> Match:
    """Whether all, none or some of the usual numbers are in ranges."""
    low, high = usual
    if any(first <= low and high <= last for first, last in ranges(text)):
        return Match.YES
    return Match.MAYBE if any(a <= high and low <= b for a, b in ranges(text)) else Match.NO


def always(values: Values, packet: Packet) -> Match:
    return Match.YES


def never(values: Values, packet: Packet) -> Match:
    return Match.NO


def _ttl(pattern: str, plus: int, values: Values, packet: Packet) -> Match:
    return overlap(pattern.format(int(values[0]) + plus), TTL)


def _ttl_in(values: Values, packet: Packet) -> Match:
    return overlap(values[0], TTL)


def _length(values: Values, packet: Packet) -> Match:
    is_first = packet.protocol == "tcp" and not packet.established
    return overlap(values[0], SYN_LENGTH if is_first else LENGTH.get(packet.protocol, ANY_LENGTH))


def _mss(values: Values, packet: Packet) -> Match:
    """Only the first packets of a connection have it."""
    return Match.NO if packet.established else overlap(values[0], MSS)


def _option(values: Values, packet: Packet) -> Match:
    if int(values[0]) == MSS_OPTION:
        return matches(not packet.established)
    return Match.MAYBE


def _packet_type(values: Values, packet: Packet) -> Match:
    return matches(values[0] in ("unicast", "host"))


def _policy(values: Values, packet: Packet) -> Match:
    """It does not come through IPsec."""
    return matches(values[0] == "none")


def _status(values: Values, packet: Packet) -> Match:
    """Nothing expects it; when it has been assured, only its further way decides."""
    statuses = set(values[0].split(","))
    now = {"DNAT"} if packet.rewritten else set()
    now |= {"SEEN_REPLY", "CONFIRMED"} if packet.established else set()
    if statuses & now:
        return Match.YES
    return Match.MAYBE if packet.established and "ASSURED" in statuses else Match.NO


MODULES = {
    *("ttl", "hl", "length", "tcpmss", "pkttype", "rpfilter", "policy", "helper", "psd", "physdev"),
    *("ipv6header", "ipv4options", "connmark", "geoip"),
}
# Without a value.
ALONE = {
    *("-f", "--invert", "--loose", "--validmark", "--accept-local", "--limit-iface-in", "--soft"),
    *("--physdev-is-bridged", "--strict", "--any", "--fragfirst", "--fragmore", "--fraglast"),
    *("--fragres", "--return-nomatch"),
}
TESTS: dict[str, Test] = {
    **{f"--{name}-eq": partial(_ttl, "{}", 0) for name in ("ttl", "hl")},
    **{f"--{name}-lt": partial(_ttl, "0:{}", -1) for name in ("ttl", "hl")},
    **{f"--{name}-gt": partial(_ttl, "{}:", 1) for name in ("ttl", "hl")},
    # Of nftables: any range.
    "--ttl": _ttl_in,
    "--length": _length,
    "--mss": _mss,
    "--tcp-option": _option,
    "--pkt-type": _packet_type,
    "--pol": _policy,
    "--ctstatus": _status,
    # Fragments, options of IP, headers of IPv6 (of routing, fragments and IPsec).
    **dict.fromkeys(("-f", "--fragid", "--fragfirst", "--fragmore", "--fraglast"), never),
    **dict.fromkeys(("--fragres", "--rt-type", "--rt-segsleft", "--ahspi", "--espspi"), never),
    **dict.fromkeys(("--header", "--flags"), never),
    # Its way back is the way it came; `--invert` is about the others.
    "--invert": never,
    **dict.fromkeys(("--loose", "--validmark", "--accept-local", "--limit-iface-in"), always),
    # No helper expects it, no bridge passes it on, and it is no scan of ports.
    **dict.fromkeys(("--helper", "--physdev-is-bridged", "--psd-weight-threshold"), never),
    **{f"--psd-{name}": always for name in ("delay-threshold", "lo-ports-weight")},
    "--psd-hi-ports-weight": always,
    **dict.fromkeys(("--dir", "--proto", "--mode", "--strict", "--reqid"), always),
    **dict.fromkeys(("--soft", "--any", "--return-nomatch"), always),
}
