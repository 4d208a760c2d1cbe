"""What a host's firewall should open, and what its files and kernel lack."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass

from gpuhost.domain.firewall.published import CONTAINERS_COMMENT, RULES, render
from gpuhost.domain.firewall.rule import Family, FirewallRule
from gpuhost.domain.firewall.tables import Tables
from gpuhost.domain.firewall.ufw import CHAINS, UfwRule, arguments, let_in, parse_kernel, ufw_rules
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.firewall import AFTER_INIT, Firewall

COMMENT = "gpuhost"
SSH_COMMENT = "gpuhost-ssh"
OWNER_RUNS = 0o100
# Our line in after.init: firewall_guard.sh.
FOLLOWING = "# gpuhost: begin"


@dataclass(frozen=True)
class Opening:
    """A connection that must be allowed. interface: only on this one; None: on every interface."""

    rule: FirewallRule
    comment: str
    interface: str | None = None

    def __str__(self) -> str:
        rule = str(self.rule) or "everything"
        return f"{rule} on {self.interface}" if self.interface else rule


def allowed_rules(settings: Settings) -> tuple[FirewallRule, ...]:
    """`firewall_allow`, each rule once, in order."""
    return tuple(dict.fromkeys(FirewallRule.parse(text) for text in settings.firewall_allow))


def openings(firewall: Firewall, settings: Settings) -> tuple[Opening, ...]:
    """SSH first, then containers (they reach each other's published ports through the host)."""
    ssh = [Opening(FirewallRule(p, p, "tcp"), SSH_COMMENT) for p in firewall.ssh_ports]
    containers = [
        Opening(FirewallRule(), CONTAINERS_COMMENT, bridge) for bridge in firewall.bridges.trusted
    ]
    known = {opening.rule for opening in ssh}
    declared_too = [Opening(r, COMMENT) for r in allowed_rules(settings) if r not in known]
    return (*ssh, *containers, *declared_too)


def is_ours(rule: UfwRule) -> bool:
    return rule.comment in (COMMENT, SSH_COMMENT, CONTAINERS_COMMENT)


def conflicting_rules(firewall: Firewall, opening: Opening) -> list[UfwRule]:
    """Foreign rules that deny exactly this opening: ufw would silently replace them."""
    return [
        rule
        for family, rule in all_rules(firewall)
        if not rule.lets_in and not is_ours(rule) and _concerns(rule, opening, family)
    ]


def is_missing(firewall: Firewall, opening: Opening, gone: Iterable[UfwRule] = ()) -> bool:
    """Whether ufw's files do not allow it, over IPv4 or IPv6.

    + gone: rules that are about to be deleted
    """
    deleted = set(gone)
    return not all(
        let_in(
            [rule for rule in firewall.ufw.rules[family] if rule not in deleted],
            opening.rule,
            opening.interface,
            family,
        )
        for family in opening.rule.families
    )


def stale_rules(firewall: Firewall, expected: tuple[Opening, ...]) -> list[UfwRule]:
    """Rules of gpuhost that are not declared any more, or were changed to deny."""
    return [
        rule
        for family, rule in all_rules(firewall)
        if is_ours(rule)
        and not (
            rule.action == "allow" and any(_concerns(rule, opening, family) for opening in expected)
        )
    ]


def all_rules(firewall: Firewall) -> Iterator[tuple[Family, UfwRule]]:
    for family, rules in firewall.ufw.rules.items():
        for rule in rules:
            yield family, rule


def _concerns(rule: UfwRule, opening: Opening, family: Family) -> bool:
    return family in opening.rule.families and any(
        rule.same_match(each.in_family(family), opening.interface)
        for each in ufw_rules(opening.rule)
    )


def not_loaded(firewall: Firewall, expected: tuple[Opening, ...]) -> str:
    """How the kernel's rules differ from ufw's files; "": they do not."""
    for family, tables in firewall.kernel.items():
        problem = _chains_fault(tables, family) or _policy_fault(firewall, tables)
        if problem:
            return f"IPv{family}: {problem}"
        live = parse_kernel(tables.chain(f"{CHAINS[family]}-user-input"), family)
        for opening in expected:
            if family not in opening.rule.families or is_missing(firewall, opening):
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
        return "the kernel does not deny by default"
    return ""


def denies(firewall: Firewall) -> bool:
    """Whether ufw's files deny by default."""
    return firewall.ufw.incoming in ("drop", "reject")


def published_files(firewall: Firewall, settings: Settings) -> dict[Family, str]:
    """The files with the rules for published ports, as they must be."""
    rules = allowed_rules(settings)
    return {
        family: render(rules, firewall.bridges, family, final=is_final(firewall, family))
        for family in RULES
    }


def is_final(firewall: Firewall, family: Family) -> bool:
    """Whether ufw's files fill DOCKER-USER with rules that follow ours, such as ufw-docker's."""
    return any(path.endswith("6.rules") == (family == 6) for path in firewall.docker_user)


def follows_ufw(snapshot: Snapshot) -> bool:
    """Whether a start of ufw loads our rules again, where it removes them."""
    firewall = snapshot.firewall
    state = snapshot.paths.get(AFTER_INIT)
    runs = state is not None and int(state.mode, 8) & OWNER_RUNS
    return not firewall.docker_user or bool(runs and FOLLOWING in (firewall.after_init or ""))


def change(firewall: Firewall, settings: Settings) -> str:
    """The change that the guard on the host must make, line by line."""
    expected = openings(firewall, settings)
    lines = []
    if firewall.ufw.enabled and not_loaded(firewall, expected):
        lines.append("rebuild")
    if not denies(firewall):
        lines.append("ufw default deny incoming")
    deleted = stale_rules(firewall, expected)
    lines += dict.fromkeys(_deletions(deleted))
    for opening in expected:
        if is_missing(firewall, opening, deleted) and not conflicting_rules(firewall, opening):
            lines += _additions(opening)
    for family, text in published_files(firewall, settings).items():
        lines += [f"{family} {line}" for line in text.splitlines()]
    return "\n".join([*lines, "end", ""])


def removal(firewall: Firewall) -> str:
    """The change that removes all of our rules, and no foreign one."""
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
