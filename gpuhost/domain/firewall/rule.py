"""One entry of ``firewall_allow``: which ports may be reached, over which protocol, from where."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace
from ipaddress import IPv4Network, IPv6Network, ip_network
from typing import Literal

Protocol = Literal["tcp", "udp"]
Family = Literal[4, 6]

HOW = 'write "80/tcp", "8000:8100/tcp", "3000/tcp from 10.0.0.0/8" or "from 10.0.0.0/8"'
GRAMMAR = re.compile(
    r"(?:(?P<ports>[^\s/]+)(?:/(?P<protocol>\S+))?)?(?:(?:^|\s+)from\s+(?P<source>[^\s%]+))?"
)


@dataclass(frozen=True, slots=True)
class FirewallRule:
    """The connections that one rule allows, to the host and to published ports of containers.

    + first, last: the range of ports, ends included; both None: every port
    + protocol: ``tcp``, ``udp``, or None for both
    + source: the network it may come from; None: anywhere, IPv4 and IPv6

    **Example:**

    .. code:: python

        FirewallRule.parse("3000/tcp from 10.0.0.0/8")
    """

    first: int | None = None
    last: int | None = None
    protocol: Protocol | None = None
    source: IPv4Network | IPv6Network | None = None

    @classmethod
    def parse(cls, text: str) -> FirewallRule:
        """Read one entry. Raises ValueError: in one line, the mistake and how to write the rule.

        **Example:** ``FirewallRule.parse("8000:8100/tcp from 2001:db8::/32")``
        """
        match = GRAMMAR.fullmatch(text.strip())
        if match is None or not match[0]:
            raise ValueError(f"{_shown(text)} is not a rule: {HOW}")
        source = _network(match["source"])
        if match["ports"] is None:
            return cls(source=source)
        first, last = _ports(match["ports"])
        return cls(first, last, _protocol(match["protocol"]), source)

    def __str__(self) -> str:
        text = f"{self.ports}/{self.protocol}" if self.protocol else self.ports
        return f"{text} from {self.source}".strip() if self.source else text

    @property
    def ports(self) -> str:
        """80, 8000:8100, or nothing for every port."""
        if self.first is None:
            return ""
        return f"{self.first}" if self.first == self.last else f"{self.first}:{self.last}"

    @property
    def families(self) -> tuple[Family, ...]:
        """The versions of IP that the rule applies to."""
        return (4, 6) if self.source is None else (self.source.version,)

    @property
    def protocols(self) -> tuple[Protocol, ...]:
        """The protocols that the rule applies to."""
        return (self.protocol,) if self.protocol else ("tcp", "udp")

    def in_family(self, family: Family) -> FirewallRule:
        """The rule for one version of IP, with its source spelled out."""
        everywhere = IPv4Network("0.0.0.0/0") if family == 4 else IPv6Network("::/0")
        return replace(self, source=self.source or everywhere)

    def from_anywhere(self) -> FirewallRule:
        """The rule without a source that means everywhere."""
        everywhere = self.source is not None and self.source.prefixlen == 0
        return replace(self, source=None) if everywhere else self

    def by_protocol(self) -> Iterator[FirewallRule]:
        """The rule once per protocol; every port of every protocol stays one rule."""
        for protocol in self.protocols if self.first is not None else (self.protocol,):
            yield replace(self, protocol=protocol)

    def covers(self, other: FirewallRule) -> bool:
        """Whether this rule allows everything that ``other`` allows."""
        return (
            (self.protocol is None or self.protocol == other.protocol)
            and self._covers_ports(other)
            and self._covers_source(other)
        )

    def mentions(self, first: int, last: int, protocol: Protocol) -> bool:
        """Whether it allows these ports from any source."""
        return self.protocol in (None, protocol) and self._covers_ports(FirewallRule(first, last))

    def _covers_ports(self, other: FirewallRule) -> bool:
        if self.first is None or self.last is None:
            return True
        if other.first is None or other.last is None:
            return False
        return self.first <= other.first and other.last <= self.last

    def _covers_source(self, other: FirewallRule) -> bool:
        if self.source is None:
            return True
        if isinstance(self.source, IPv4Network):
            return isinstance(other.source, IPv4Network) and other.source.subnet_of(self.source)
        return isinstance(other.source, IPv6Network) and other.source.subnet_of(self.source)


def _ports(text: str) -> tuple[int, int]:
    if re.fullmatch(r"\d+-\d+", text):
        raise ValueError(f'write a range of ports with a colon: "{text.replace("-", ":")}/tcp"')
    if not re.fullmatch(r"[0-9]{1,5}(:[0-9]{1,5})?", text):
        raise ValueError(f"{_shown(text)} is not a port number: {HOW}")
    first, _, last = text.partition(":")
    low, high = int(first), int(last or first)
    if not 1 <= low <= 65535 or not 1 <= high <= 65535:
        raise ValueError(f"{_shown(text)}: ports are 1 to 65535")
    if high < low:
        raise ValueError(f'the range is the wrong way round: write "{high}:{low}"')
    return low, high


def _protocol(text: str | None) -> Protocol | None:
    if text is None:
        return None
    if text == "tcp":
        return "tcp"
    if text == "udp":
        return "udp"
    raise ValueError(f'{_shown(text)} is not a protocol: tcp or udp, such as "80/tcp"')


def _network(text: str | None) -> IPv4Network | IPv6Network | None:
    if text is None:
        return None
    if text in ("any", "anywhere"):
        raise ValueError(f'leave out "from {text}": a rule without a source lets everyone in')
    try:
        loose = ip_network(text, strict=False)
    except ValueError:
        raise ValueError(f'{_shown(text)} is not a network: write "from 10.0.0.0/8"') from None
    if ip_network(text.partition("/")[0]).network_address != loose.network_address:
        raise ValueError(f'"{text}" is an address inside a network: write "from {loose}"')
    return loose


def _shown(text: str) -> str:
    """The text on one line, shortened."""
    return ascii(text if len(text) <= 60 else f"{text[:57]}...")
