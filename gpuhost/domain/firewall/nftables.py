"""Tables of nftables that iptables does not show: their base chains and rules.

`nft list table` prints one rule a line (nft(8)). A rule with a condition that is not among those
below may match or not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from functools import lru_cache, partial

from gpuhost.domain.firewall.conditions import Condition, cannot_tell, condition_of, is_listed
from gpuhost.domain.firewall.iptables_rule import Rule
from gpuhost.domain.firewall.nft_expressions import NEVER, expression, is_of
from gpuhost.domain.firewall.packet import Match, Packet
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Chain
from gpuhost.domain.shell_words import shell_words

TABLE = re.compile(r"table (\w+) (\S+)(?: \{)?")
BLOCK = re.compile(r"\s*(\w+) (\S+) \{")
HOOK = re.compile(r"\s*type \w+ hook (\w+) .*?priority [^;]*;(?: policy (\w+);)?")
VERDICT_MAP = re.compile(
    r"\b(ct state|(?:tcp|udp|th) [sd]port|meta l4proto|[io]if(?:name)?) vmap \{([^}]*)\}"
)
IPTABLES_OWN = {"filter", "nat", "mangle", "raw", "security"}
# Docker's own, with its nftables backend.
DOCKER_TABLE = "docker-bridges"
FAMILIES: dict[str, tuple[Family, ...]] = {
    "ip": (4,),
    "ip6": (6,),
    "inet": (4, 6),
    "netdev": (4, 6),
}


@dataclass(frozen=True)
class NftTable:
    """A table. name: "inet filter". hooks: those of its base chains, by chain, as iptables names
    them."""

    name: str
    chains: Mapping[str, Chain]
    hooks: Mapping[str, str]

    def base_chains(self, hook: str) -> list[str]:
        return [chain for chain, its in self.hooks.items() if its == hook]

    def filters(self, family: Family) -> bool:
        return family in FAMILIES.get(self.name.partition(" ")[0], ())


def parse_nft_tables(listed: str) -> tuple[NftTable, ...]:
    """`nft list tables` and `nft list table …`, without those behind iptables and Docker's."""
    chains: dict[str, dict[str, list[str]]] = {}
    hooks: dict[str, dict[str, tuple[str, str]]] = {}
    table = chain = ""
    for line in _joined(listed):
        if match := TABLE.fullmatch(line):
            table, chain = f"{match[1]} {match[2]}", ""
            chains.setdefault(table, {})
            hooks.setdefault(table, {})
        elif match := BLOCK.fullmatch(line):
            chain = match[2] if match[1] == "chain" and table else ""
            if chain:
                chains[table][chain] = []
        elif line.strip() == "}":
            chain = ""
        elif chain and (match := HOOK.match(line)):
            hooks[table][chain] = (match[1], match[2] or "accept")
        elif chain and line.strip():
            chains[table][chain] += _without_map(line.strip())
    return tuple(_table(name, chains[name], hooks[name]) for name in chains if not _is_known(name))


def _joined(listed: str) -> Iterator[str]:
    """Lines; a rule with a long set in braces is one."""
    pending = ""
    for line in listed.splitlines():
        whole = f"{pending} {line.strip()}" if pending else line
        is_open = whole.count("{") > whole.count("}") and not whole.rstrip().endswith("{")
        pending = whole if is_open and len(whole) < 20000 else ""
        if not pending:
            yield whole


def _without_map(rule: str) -> list[str]:
    """`ct state vmap { new : accept, invalid : drop }` is a rule for each state; ports and
    interfaces have such maps too.
    """
    match = VERDICT_MAP.search(rule)
    if match is None:
        return [rule]
    entries = [entry.split(":") for entry in match[2].split(",")]
    if any(len(entry) != 2 for entry in entries):
        return [rule]
    before = f"{rule[: match.start()]}{match[1]}"
    return [f"{before} {value.strip()} {verdict.strip()}" for value, verdict in entries]


def _is_known(name: str) -> bool:
    family, _, bare = name.partition(" ")
    return (family in ("ip", "ip6") and bare in IPTABLES_OWN) or bare == DOCKER_TABLE


def _table(
    name: str, chains: Mapping[str, list[str]], hooks: Mapping[str, tuple[str, str]]
) -> NftTable:
    return NftTable(
        name,
        {
            chain: Chain(hooks[chain][1].upper() if chain in hooks else "-", tuple(rules))
            for chain, rules in chains.items()
        },
        {
            chain: "PREROUTING" if hook == "ingress" else hook.upper()
            for chain, (hook, _) in hooks.items()
        },
    )


# What stands before a value, and the option of iptables that judges it.
KEYS: dict[tuple[str, ...], str] = {
    **dict.fromkeys((("iif",), ("iifname",), ("meta", "iifname")), "-i"),
    **dict.fromkeys((("oif",), ("oifname",), ("meta", "oifname")), "-o"),
    **dict.fromkeys((("ip", "saddr"), ("ip6", "saddr")), "-s"),
    **dict.fromkeys((("ip", "daddr"), ("ip6", "daddr")), "-d"),
    **dict.fromkeys((("ip", "protocol"), ("ip6", "nexthdr"), ("meta", "l4proto")), "-p"),
    **{(name, "dport"): "--dport" for name in ("tcp", "udp", "th")},
    **{(name, "sport"): "--sport" for name in ("tcp", "udp", "th")},
    ("ct", "state"): "--ctstate",
    ("ct", "original", "proto-dst"): "--ctorigdstport",
    ("ct", "status"): "--ctstatus",
    ("ct", "direction"): "--ctdir",
    ("ct", "helper"): "--helper",
    ("meta", "pkttype"): "--pkt-type",
    ("rt", "type"): "--rt-type",
    ("fib", "daddr", "type"): "--dst-type",
    ("fib", "saddr", "type"): "--src-type",
}
FAMILY: dict[str, Family] = {"ip": 4, "ip6": 6}
UPPER = {"--ctstate", "--ctstatus", "--ctdir", "--dst-type", "--src-type"}
ENDS = {"accept": "ACCEPT", "drop": "DROP", "reject": "REJECT", "return": "RETURN"}
JUMPS = {"jump": "-j", "goto": "-g"}
# Statements that decide nothing, with the number of words that follow.
SILENT = {"counter": 0, "packets": 1, "bytes": 1, "comment": 1, "continue": 0}
RATE = re.compile(r"rate|burst|packets|bytes|[kmg]?bytes/\w+|\d+(/\w+)?")
# Statements that change what no rule asks for.
SETS = re.compile(r"\b(?:nftrace|priority|dscp|ttl|hoplimit|size) set ")
WITH_PORTS = ("tcp", "udp")
ICMP = ("icmp", "icmpv6")


@lru_cache(maxsize=4096)
def parse_rule(text: str) -> Rule:
    """A rule of nftables, as a packet meets it."""
    if SETS.search(text):
        return Rule(text, (), "", "-j", (), ())
    tokens = _tokens(text)
    conditions: list[Condition] = []
    lists: list[str] = []
    while tokens:
        word = tokens.pop(0)
        if word in ENDS:
            conditions += REJECTING.get(" ".join(tokens[:2]), ())
            return Rule(text, tuple(conditions), ENDS[word], "-j", (), tuple(lists))
        if word == "notrack":
            return Rule(text, tuple(conditions), "NOTRACK", "-j", (), ())
        if word in JUMPS:
            target = tokens[0] if tokens else "?"
            return Rule(text, tuple(conditions), target, JUMPS[word], (), tuple(lists))
        if word == "log":
            _skip_to_verdict(tokens)
        elif word == "limit":
            conditions += _rate(tokens)
        elif word in SILENT:
            del tokens[: SILENT[word]]
        else:
            conditions.append(_phrase(word, tokens, lists))
    # Without a verdict it counts, logs or marks; what is not understood may do anything.
    target = "?" if cannot_tell in conditions else ""
    if " mark set " in f" {text} ":
        return Rule(text, (), "MARK", "-j", (), ())
    return Rule(text, tuple(conditions), target, "-j", (), ())


def _tokens(text: str) -> list[str]:
    """Words; a set in braces is one, `{22,80}`."""
    tokens: list[str] = []
    for word in shell_words(text.replace("{", " { ").replace("}", " } ")):
        if tokens and tokens[-1].startswith("{") and not tokens[-1].endswith("}"):
            tokens[-1] += word
        else:
            tokens.append(word)
    return tokens


def _skip_to_verdict(tokens: list[str]) -> None:
    while tokens and tokens[0] not in ENDS and tokens[0] not in JUMPS:
        del tokens[0]


def _rate(tokens: list[str]) -> list[Condition]:
    """`limit rate 3/minute burst 5 packets`: ordinary traffic is within it, and not over it."""
    is_over = tokens[:2] == ["rate", "over"]
    del tokens[: 2 if is_over else 0]
    while tokens and RATE.fullmatch(tokens[0]):
        del tokens[0]
    return [NEVER] if is_over else []


def _phrase(word: str, tokens: list[str], lists: list[str]) -> Condition:
    """A condition: its key, an operator, its value. All that follows an unknown key is unknown."""
    found = expression(word, tokens, lists)
    if found is not None:
        return found
    key: tuple[str, ...] = (word,)
    while key not in KEYS and tokens and len(key) < 3 and word not in ICMP:
        key = (*key, tokens.pop(0))
    if key not in KEYS:
        tokens[:0] = [part for part in key[1:] if part in ENDS or part in JUMPS]
        _skip_to_verdict(tokens)
        return condition_of(False, "-p", (word,)) if word in ICMP else cannot_tell
    negated = bool(tokens) and tokens[0] == "!="
    if tokens and tokens[0] in ("!=", "=="):
        del tokens[0]
    return _compared(key, negated, tokens.pop(0) if tokens else "", lists)


def _compared(key: tuple[str, ...], negated: bool, value: str, lists: list[str]) -> Condition:
    option = KEYS[key]
    if value.startswith("@") and option == "-s" and not negated:
        lists.append(value)
        return is_listed
    if value.startswith("@") or value in ("", "vmap", "&"):
        return cannot_tell
    needed = [condition_of(False, "-p", (key[0],))] if key[0] in WITH_PORTS else []
    if key[0] in FAMILY:
        needed.append(partial(is_of, FAMILY[key[0]]))
    values = [_one(option, part) for part in value.strip("{}").split(",")]
    return partial(_any_of, tuple(needed), tuple(values), negated)


def _one(option: str, value: str) -> Condition:
    """One value, written as iptables writes it: `docker*` is docker+, 80-90 is 80:90."""
    if option in ("-i", "-o"):
        value = value.replace("*", "+")
    elif option in UPPER:
        value = value.upper()
    elif option.endswith("port"):
        value = value.replace("-", ":")
    return condition_of(False, option, (value,))


def _any_of(
    needed: tuple[Condition, ...], values: tuple[Condition, ...], negated: bool, packet: Packet
) -> Match:
    found = max(value(packet) for value in values)
    return min([need(packet) for need in needed] + [found.inverted() if negated else found])


# A rule that rejects with one protocol is about this protocol.
REJECTING: dict[str, tuple[Condition, ...]] = {
    "with icmp": (partial(is_of, 4),),
    "with icmpv6": (partial(is_of, 6),),
    "with tcp": (condition_of(False, "-p", ("tcp",)),),
}
