"""What `iptables-save` and `ip6tables-save` print."""

from __future__ import annotations

import re
import shlex
from collections.abc import Mapping
from dataclasses import dataclass

CHAIN = re.compile(r":(\S+) (\S+)")
RULE = re.compile(r"-A (\S+)(?: (.*))?")


@dataclass(frozen=True)
class Chain:
    """policy: ACCEPT, DROP, or "-" for a chain that is not built in. rules: without `-A CHAIN`."""

    policy: str = "-"
    rules: tuple[str, ...] = ()

    def jumps_to(self, chain: str) -> bool:
        """Whether a rule without any condition hands everything to another chain."""
        return any(rule in (f"-j {chain}", f"-g {chain}") for rule in self.rules)


@dataclass(frozen=True)
class Tables:
    """The chains of the filter table, by name."""

    filter: Mapping[str, Chain]

    def chain(self, name: str) -> Chain:
        return self.filter.get(name, Chain())

    @classmethod
    def parse(cls, saved: str) -> Tables:
        """Read what `iptables-save` printed; lines it does not know are left out."""
        policies: dict[str, str] = {}
        rules: dict[str, list[str]] = {}
        table = ""
        for line in saved.splitlines():
            if line.startswith("*"):
                table = line.strip()
            elif table != "*filter":
                continue
            elif match := CHAIN.match(line):
                policies[match[1]] = match[2]
            elif match := RULE.fullmatch(line.rstrip()):
                rules.setdefault(match[1], []).append(match[2] or "")
        names = policies.keys() | rules.keys()
        return cls({n: Chain(policies.get(n, "-"), tuple(rules.get(n, ()))) for n in names})


NFT_TABLE = re.compile(r"^table (\w+) (\S+)$", re.MULTILINE)
IPTABLES_OWN = {"filter", "nat", "mangle", "raw", "security"}
# Docker's own, with its nftables backend.
DOCKER_TABLE = "docker-bridges"


def parse_nft_tables(listed: str) -> list[str]:
    """`nft list tables`, without those behind iptables and without Docker's."""
    return [
        f"{family} {name}"
        for family, name in NFT_TABLE.findall(listed)
        if not (family in ("ip", "ip6") and name in IPTABLES_OWN) and name != DOCKER_TABLE
    ]


Option = tuple[str, ...]


def options(rule: str) -> frozenset[Option]:
    """A rule's conditions and target, so that two spellings of one rule are equal.

    Versions of iptables differ in the order of options, in `-m tcp` after `-p tcp`, and in `/32`.
    """
    groups: list[list[str]] = []
    negated = False
    for word in _words(rule):
        if word == "!":
            negated = True
        elif word.startswith("-"):
            groups.append(["!", word] if negated else [word])
            negated = False
        elif groups:
            groups[-1].append(_bare(word))
    return frozenset(tuple(group) for group in groups if group[0] != "-m")


def _words(rule: str) -> list[str]:
    try:
        return shlex.split(rule)
    except ValueError:
        return rule.split()


def _bare(word: str) -> str:
    """An address without /32 or /128."""
    return word.removesuffix("/128" if ":" in word else "/32")
