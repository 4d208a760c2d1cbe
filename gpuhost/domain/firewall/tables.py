"""What `iptables-save` and `ip6tables-save` print."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from dataclasses import dataclass, field
from functools import lru_cache

from gpuhost.domain.shell_words import shell_words

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


Chains = Mapping[str, Chain]


@dataclass(frozen=True)
class Tables:
    """The chains of the filter table, by name; others: those of nat, mangle and raw."""

    filter: Chains
    others: Mapping[str, Chains] = field(default_factory=dict)

    def chain(self, name: str) -> Chain:
        return self.filter.get(name, Chain())

    def table(self, name: str) -> Chains:
        return self.filter if name == "filter" else self.others.get(name, {})

    def rules(self) -> Iterator[tuple[str, str, str]]:
        """Every rule: its table, its chain and its text."""
        for table in ("filter", *self.others):
            for name, chain in self.table(table).items():
                for rule in chain.rules:
                    yield table, name, rule

    @classmethod
    def parse(cls, saved: str) -> Tables:
        """Read what `iptables-save` printed; lines it does not know are left out."""
        policies: dict[str, dict[str, str]] = {"filter": {}}
        rules: dict[str, dict[str, list[str]]] = {"filter": {}}
        table = ""
        for line in saved.splitlines():
            if line.startswith("*"):
                table = line.strip()[1:]
                policies.setdefault(table, {})
                rules.setdefault(table, {})
            elif not table:
                continue
            elif match := CHAIN.match(line):
                policies[table][match[1]] = match[2]
            elif match := RULE.fullmatch(line.rstrip()):
                rules[table].setdefault(match[1], []).append(match[2] or "")
        chains = {table: _chains(policies[table], rules[table]) for table in policies}
        return cls(chains.pop("filter"), chains)


def _chains(policies: Mapping[str, str], rules: Mapping[str, list[str]]) -> Chains:
    names = policies.keys() | rules.keys()
    return {n: Chain(policies.get(n, "-"), tuple(rules.get(n, ()))) for n in names}


Option = tuple[bool, str, tuple[str, ...]]


def grouped(rule: list[str]) -> Iterator[Option]:
    """Each option of a rule's words: whether it is negated, its name, its values."""
    at, negated = 0, False
    while at < len(rule):
        word, at = rule[at], at + 1
        if word == "!":
            negated = True
            continue
        end = at + 1 if word == "--comment" else at
        while end < len(rule) and not rule[end].startswith("-") and rule[end] != "!":
            end += 1
        yield negated, word, tuple(rule[at:end])
        at, negated = end, False


@lru_cache(maxsize=4096)
def options(rule: str) -> frozenset[Option]:
    """A rule's conditions and target, so that two spellings of one rule are equal.

    Versions of iptables differ in the order of options, in `-m tcp` after `-p tcp`, and in `/32`.
    """
    return frozenset(
        (negated, name, tuple(map(_bare, values)))
        for negated, name, values in grouped(shell_words(rule))
        if name != "-m"
    )


def _bare(word: str) -> str:
    """An address without /32 or /128."""
    return word.removesuffix("/128" if ":" in word else "/32")
