"""ufw's rules: as its files keep them, as the kernel has them, as its commands write them."""

from __future__ import annotations

import re
from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_network

from gpuhost.domain.firewall.rule import Family, FirewallRule, Protocol
from gpuhost.domain.firewall.tables import Chain, options

USER_RULES: dict[Family, str] = {4: "/etc/ufw/user.rules", 6: "/etc/ufw/user6.rules"}
CHAINS: dict[Family, str] = {4: "ufw", 6: "ufw6"}
EVERYWHERE: dict[Family, str] = {4: "0.0.0.0/0", 6: "::/0"}

TUPLE = "### tuple ### "
PORTS = re.compile(r"(\d{1,5})(?::(\d{1,5}))?")
ACCEPTING = {"ACCEPT", "ufw-user-limit-accept", "ufw6-user-limit-accept"}


@dataclass(frozen=True)
class UfwRule:
    """One rule about what comes in.

    + action: allow, limit, deny or reject
    + matches: what it applies to; none if a FirewallRule cannot express it
    + interface: the one it comes in on, which may end in `+`; None: any
    + comment: of the one who added it
    + text: the rule as a person reads it
    """

    action: str
    matches: tuple[FirewallRule, ...]
    interface: str | None = None
    comment: str = ""
    text: str = ""

    @property
    def lets_in(self) -> bool:
        return self.action in ("allow", "limit")

    def covers(self, other: FirewallRule, interface: str | None = None) -> bool:
        """Whether it covers everything in `other`."""
        return self.interface in (None, interface) and any(
            match.covers(other) for match in self.matches
        )

    def same_match(self, other: FirewallRule, interface: str | None = None) -> bool:
        """Whether ufw would consider both one rule, and replace this one."""
        return self.interface == interface and self.matches == (other,)


def parse_user_rules(text: str, family: Family) -> tuple[UfwRule, ...]:
    """The rules in /etc/ufw/user.rules (4) or user6.rules (6) about what comes in, in order."""
    lines = (line[len(TUPLE) :] for line in text.splitlines() if line.startswith(TUPLE))
    rules = (_from_tuple(line.split(), family) for line in lines)
    return tuple(rule for rule in rules if rule)


def _from_tuple(words: list[str], family: Family) -> UfwRule | None:
    """ACTION PROTOCOL PORTS TO FROM-PORTS FROM [APP APP] DIRECTION[_INTERFACE] [comment=HEX]."""
    comment = ""
    if words and words[-1].startswith("comment="):
        comment = _unhex(words.pop().removeprefix("comment="))
    if len(words) not in (7, 9):
        return None
    action, protocol, ports, to, from_ports, source = words[:6]
    direction, _, interface = words[-1].partition("_")
    if direction != "in" or ":" in action:
        return None
    simple = (to, from_ports) == (EVERYWHERE[family], "any")
    matches = tuple(_matches(protocol, ports, source)) if simple else ()
    text = f"{action} {ports}/{protocol} from {source}"
    text += f" on {interface}" if interface else ""
    return UfwRule(
        action.partition("_")[0],
        matches,
        interface or None,
        comment,
        text if simple else f"{text} to {to}",
    )


def _unhex(text: str) -> str:
    try:
        return bytes.fromhex(text).decode("utf-8", "replace")
    except ValueError:
        return ""


def _matches(protocol: str, ports: str, source: str) -> Iterator[FirewallRule]:
    if protocol not in ("tcp", "udp", "any"):
        return
    known: Protocol | None = "tcp" if protocol == "tcp" else "udp" if protocol == "udp" else None
    try:
        network = ip_network(source, strict=False)
    except ValueError:
        return
    if ports == "any":
        yield FirewallRule(protocol=known, source=network)
        return
    for item in ports.split(","):
        if match := PORTS.fullmatch(item):
            yield FirewallRule(int(match[1]), int(match[2] or match[1]), known, network)


def parse_kernel(chain: Chain, family: Family) -> tuple[UfwRule, ...]:
    """The rules of the kernel's chain `ufw-user-input` that let something in."""
    rules = (_from_kernel(rule, family) for rule in chain.rules)
    return tuple(rule for rule in rules if rule)


def _from_kernel(rule: str, family: Family) -> UfwRule | None:
    known = {f"{'! ' if no else ''}{name}": " ".join(values) for no, name, values in options(rule)}
    if known.pop("-j", "") not in ACCEPTING:
        return None
    protocol = known.pop("-p", "any")
    ports = known.pop("--dport", "") or known.pop("--dports", "") or "any"
    source = known.pop("-s", EVERYWHERE[family])
    interface = known.pop("-i", None)
    if known:
        return None
    return UfwRule("allow", tuple(_matches(protocol, ports, source)), interface, text=rule)


def let_in(
    rules: Iterable[UfwRule], other: FirewallRule, interface: str | None, family: Family
) -> bool:
    """Whether some rule lets `other` in, for one version of IP and every protocol."""
    here = tuple(rules)
    return all(
        any(rule.lets_in and rule.covers(each, interface) for rule in here)
        for each in other.in_family(family).by_protocol()
    )


def ufw_rules(rule: FirewallRule) -> Iterator[FirewallRule]:
    """A rule as ufw keeps it: a range needs a protocol, so a range for both is two rules."""
    if rule.protocol is None and rule.first != rule.last:
        yield from rule.by_protocol()
    else:
        yield rule


def arguments(rule: FirewallRule, interface: str | None = None) -> Iterator[str]:
    """A rule as ufw's commands take it, after `allow` or `delete allow`."""
    for each in ufw_rules(rule):
        words = ["in", "on", interface] if interface else []
        words += ["proto", each.protocol] if each.protocol else []
        words += ["from", str(each.source or "any"), "to", "any"]
        words += ["port", each.ports] if each.ports else []
        yield " ".join(words)
