"""What the settings ask of one host's firewall, and what its files and kernel lack for it."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpuhost.domain.firewall.published import CONTAINERS, RULES, render
from gpuhost.domain.firewall.rule import Family, FirewallRule
from gpuhost.domain.firewall.tables import Tables
from gpuhost.domain.firewall.ufw import CHAINS, UfwRule, arguments, let_in, parse_kernel, ufw_rules
from gpuhost.settings import Settings
from gpuhost.snapshot.firewall import Firewall

COMMENT = "gpuhost"
SSH_COMMENT = "gpuhost-ssh"
CONTAINERS_COMMENT = "gpuhost-containers"


@dataclass(frozen=True)
class Opening:
    """Something that has to come in. interface: only from there; None: from everywhere."""

    rule: FirewallRule
    comment: str
    interface: str | None = None

    def __str__(self) -> str:
        rule = str(self.rule) or "everything"
        return f"{rule} on {self.interface}" if self.interface else rule


def allowed(settings: Settings) -> tuple[FirewallRule, ...]:
    """`firewall_allow`, each rule once, in order."""
    return tuple(dict.fromkeys(FirewallRule.parse(text) for text in settings.firewall_allow))


def openings(firewall: Firewall, settings: Settings) -> tuple[Opening, ...]:
    """SSH first, then containers (they reach each other's published ports through the host)."""
    ssh = [Opening(FirewallRule(p, p, "tcp"), SSH_COMMENT) for p in firewall.ssh_ports]
    containers = [
        Opening(FirewallRule(), CONTAINERS_COMMENT, bridge)
        for bridge in CONTAINERS
        if not (bridge == "br-+" and firewall.foreign_bridges)
    ]
    known = {opening.rule for opening in ssh}
    declared_too = [Opening(r, COMMENT) for r in allowed(settings) if r not in known]
    return (*ssh, *containers, *declared_too)


def is_ours(rule: UfwRule) -> bool:
    return rule.comment in (COMMENT, SSH_COMMENT, CONTAINERS_COMMENT)


def conflicts(firewall: Firewall, wanted: Opening) -> list[UfwRule]:
    """Rules of others that forbid exactly what is wanted: ufw would silently replace them."""
    return [
        rule
        for family, rule in all_rules(firewall)
        if not rule.lets_in and not is_ours(rule) and _speaks_of(rule, wanted, family)
    ]


def missing(firewall: Firewall, wanted: Opening, gone: Iterable[UfwRule] = ()) -> bool:
    """Whether ufw's files do not let it in, in some version of IP.

    + gone: rules that are about to be deleted
    """
    leaving = set(gone)
    return not all(
        let_in(
            [rule for rule in firewall.ufw.rules[family] if rule not in leaving],
            wanted.rule,
            wanted.interface,
            family,
        )
        for family in wanted.rule.families
    )


def stale(firewall: Firewall, wanted: tuple[Opening, ...]) -> list[UfwRule]:
    """Rules of ours that nothing asks for any more, or that somebody turned round."""
    return [
        rule
        for family, rule in all_rules(firewall)
        if is_ours(rule)
        and not (rule.action == "allow" and any(_speaks_of(rule, w, family) for w in wanted))
    ]


def all_rules(firewall: Firewall) -> Iterator[tuple[Family, UfwRule]]:
    for family, rules in firewall.ufw.rules.items():
        for rule in rules:
            yield family, rule


def _speaks_of(rule: UfwRule, wanted: Opening, family: Family) -> bool:
    return family in wanted.rule.families and any(
        rule.same_match(each.in_family(family), wanted.interface) for each in ufw_rules(wanted.rule)
    )


def not_loaded(firewall: Firewall, wanted: tuple[Opening, ...]) -> str:
    """What keeps the kernel from doing what ufw's files say; nothing: it does."""
    for family, tables in firewall.kernel.items():
        problem = _chains_fault(tables, family) or _policy_fault(firewall, tables)
        if problem:
            return f"IPv{family}: {problem}"
        live = parse_kernel(tables.chain(f"{CHAINS[family]}-user-input"), family)
        for opening in wanted:
            if family not in opening.rule.families or missing(firewall, opening):
                continue
            if not let_in(live, opening.rule, opening.interface, family):
                return f"IPv{family}: the kernel lacks the rule for {opening}"
    return ""


def _chains_fault(tables: Tables, family: Family) -> str:
    ufw = CHAINS[family]
    if f"{ufw}-user-input" not in tables.filter:
        return "ufw's chains are not in the kernel"
    if not tables.chain("INPUT").jumps_to(f"{ufw}-before-input"):
        return f"INPUT does not lead to {ufw}-before-input"
    if not tables.chain(f"{ufw}-before-input").jumps_to(f"{ufw}-user-input"):
        return f"{ufw}-before-input does not lead to {ufw}-user-input"
    return ""


def _policy_fault(firewall: Firewall, tables: Tables) -> str:
    if denies(firewall) and tables.chain("INPUT").policy != "DROP":
        return "what no rule speaks of is let in"
    return ""


def denies(firewall: Firewall) -> bool:
    """Whether ufw's files close what no rule speaks of."""
    return firewall.ufw.incoming in ("drop", "reject")


def published_files(firewall: Firewall, settings: Settings) -> dict[Family, str]:
    """The rules for published ports, as the files have to have them."""
    rules = allowed(settings)
    return {family: render(rules, firewall.foreign_bridges, family) for family in RULES}


def change(firewall: Firewall, settings: Settings) -> str:
    """The change that the guard on the host has to make, line by line."""
    wanted = openings(firewall, settings)
    lines = []
    if firewall.ufw.enabled and not_loaded(firewall, wanted):
        lines.append("rebuild")
    if not denies(firewall):
        lines.append("ufw default deny incoming")
    leaving = stale(firewall, wanted)
    lines += dict.fromkeys(_deletions(leaving))
    for opening in wanted:
        if missing(firewall, opening, leaving) and not conflicts(firewall, opening):
            lines += _additions(opening)
    for family, text in published_files(firewall, settings).items():
        lines += [f"{family} {line}" for line in text.splitlines()]
    return "\n".join([*lines, "end", ""])


def removal(firewall: Firewall) -> str:
    """The change that takes everything of ours away, and nothing of others'."""
    ours = [rule for _, rule in all_rules(firewall) if is_ours(rule)]
    return "\n".join([*dict.fromkeys(_deletions(ours)), "remove", "end", ""])


def _additions(opening: Opening) -> Iterator[str]:
    for words in arguments(opening.rule, opening.interface):
        yield f"ufw allow {words} comment {opening.comment}"


def _deletions(rules: list[UfwRule]) -> Iterator[str]:
    for rule in rules:
        for match in rule.matches:
            for words in arguments(match.from_anywhere(), rule.interface):
                yield f"ufw delete {rule.action} {words}"
