"""How to take a foreign rule out of the way, only if SSH is still accepted without it."""

from __future__ import annotations

import re
import shlex
from collections.abc import Iterator, Mapping
from dataclasses import replace

from gpuhost.domain.advice import AGAIN
from gpuhost.domain.firewall.journey import Outcome, Ruleset
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Chain, Chains, Tables
from gpuhost.domain.shell_words import shell_words
from gpuhost.plans.firewall_walk import walked
from gpuhost.settings import Settings
from gpuhost.snapshot.firewall import Firewall

UFW_CHAIN = re.compile(r"ufw(6?)-(user|before|after)\b")
IPTABLES = re.compile(r"(?P<tool>ip6?tables)(?: -t (?P<table>\w+))?: (?P<chain>\S+) (?P<rule>.*)")
NFTABLES = re.compile(r"nftables (?P<table>\w+ \S+): ")
POLICY = re.compile(r"the policy \w+ of ")


def advice(firewall: Firewall, settings: Settings, outcome: Outcome) -> str:
    """What removes the rule that decides, now and at the next boot."""
    if match := NFTABLES.match(outcome.rule):
        return _for_nftables(firewall, settings, match["table"])
    match = IPTABLES.fullmatch(outcome.rule)
    if match is None or POLICY.search(outcome.rule):
        return AGAIN
    if of_ufw := UFW_CHAIN.match(match["chain"]):
        version, when = of_ufw.groups()
        if when == "user":
            return f"sudo ufw status numbered; sudo ufw delete NUMBER; {AGAIN}"
        return f"delete it from /etc/ufw/{when}{version}.rules, then sudo ufw reload"
    if match["chain"].startswith("GPUHOST-"):
        return AGAIN
    without = _without_rule(firewall, match["table"] or "filter", match["chain"], match["rule"])
    if not _keeps_ssh(firewall, without, settings):
        return f"allow SSH first ({AGAIN}): without this rule it would be closed"
    table = f"-t {match['table']} " if match["table"] else ""
    rule = shlex.join(shell_words(match["rule"]))
    command = f"sudo {match['tool']} {table}-D {match['chain']} {rule}"
    return command + "".join(_in_files(firewall, match["chain"], match["rule"]))


def _in_files(firewall: Firewall, chain: str, rule: str) -> Iterator[str]:
    for path, text in firewall.boot_rules.items():
        if any(line.strip() == f"-A {chain} {rule}" for line in text.splitlines()):
            yield f"; delete the same line of {path}, which is loaded at boot, and no other line"


def _for_nftables(firewall: Firewall, settings: Settings, table: str) -> str:
    without = {
        family: replace(ruleset, nft=tuple(t for t in ruleset.nft if t.name != table))
        for family, ruleset in firewall.rulesets.items()
    }
    if not _keeps_ssh(firewall, without, settings):
        return f"allow SSH first ({AGAIN}): without this table it would be closed"
    return (
        "allow the port there too; or leave it to ufw alone: take the table out of"
        f" /etc/nftables.conf or the program that loads it, then sudo nft delete table {table}"
    )


def _without_rule(
    firewall: Firewall, table: str, chain: str, rule: str
) -> Mapping[Family, Ruleset]:
    return {
        family: replace(
            ruleset,
            backends=tuple(_without(tables, table, chain, rule) for tables in ruleset.backends),
        )
        for family, ruleset in firewall.rulesets.items()
    }


def _without(tables: Tables, table: str, chain: str, rule: str) -> Tables:
    chains = tables.table(table)
    if chain not in chains:
        return tables
    left = Chain(chains[chain].policy, tuple(r for r in chains[chain].rules if r != rule))
    changed: Chains = {**chains, chain: left}
    if table == "filter":
        return replace(tables, filter=changed)
    return replace(tables, others={**tables.others, table: changed})


def _keeps_ssh(firewall: Firewall, rulesets: Mapping[Family, Ruleset], settings: Settings) -> bool:
    """Whether SSH is accepted by these rules."""
    ssh = {f"{port}/tcp" for port in firewall.ssh_ports}
    ways = walked(replace(firewall, rulesets=rulesets), settings)
    return all(way.outcome.verdict == "accept" for way in ways if way.port in ssh)
