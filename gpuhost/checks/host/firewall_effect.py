"""What the kernel's rules do with connections from outside, whoever made them."""

from __future__ import annotations

from gpuhost.checks.finding import Verdict, fail, later, ok, unknown, warn
from gpuhost.checks.host.firewall import where_enabled
from gpuhost.checks.host.firewall_published import published_fault
from gpuhost.checks.registry import check
from gpuhost.plans.firewall import not_loaded, openings
from gpuhost.plans.firewall_advice import advice
from gpuhost.plans.firewall_in_use import foreign_rules
from gpuhost.plans.firewall_walk import Walked, undeclared, walked
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot


def _is_loaded(snapshot: Snapshot, settings: Settings) -> bool:
    """Otherwise the checks of what is missing say so."""
    firewall = snapshot.firewall
    return (
        firewall.ufw.enabled
        and not not_loaded(firewall, openings(firewall, settings))
        and not published_fault(snapshot, settings)
    )


@check(
    "firewall.reached",
    "The kernel's rules, in their order, let a new connection reach SSH and `firewall_allow`.",
)
@where_enabled
def reached(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not _is_loaded(snapshot, settings):
        return later("see firewall.loaded and firewall.published")
    ways = walked(snapshot.firewall, settings)
    problems = [way for way in ways if way.outcome.verdict != "accept"]
    closed = [problem for problem in problems if problem.outcome.is_closed]
    if closed:
        fixes = [advice(snapshot.firewall, settings, problem.outcome) for problem in closed]
        return fail(
            "no other rule comes before those of ufw and gpuhost",
            _by_rule(closed),
            fix="; ".join(dict.fromkeys(fixes)),
        )
    if problems:
        return unknown(
            f"gpuhost cannot say what these rules do: {_by_rule(problems)}",
            fix="connect to the port from another machine",
        )
    lists = ", ".join(sorted({name for way in ways for name in way.outcome.lists}))
    return ok("SSH and firewall_allow", evidence=lists and f"but for sources in {lists}")


def _by_rule(problems: list[Walked]) -> str:
    rules: dict[str, list[str]] = {}
    for problem in problems:
        verb = "decided" if problem.outcome.verdict == "unknown" else "closed"
        rules.setdefault(f"{verb} by {problem.outcome.rule}", []).append(str(problem))
    return "; ".join(f"{', '.join(ports)}: {rule}" for rule, ports in rules.items())


@check("firewall.foreign", "No foreign rule opens a port that is not declared.")
@where_enabled
def foreign(snapshot: Snapshot, settings: Settings) -> Verdict:
    rules = foreign_rules(snapshot.firewall, settings)
    opened = undeclared(snapshot.firewall, settings) if _is_loaded(snapshot, settings) else ()
    expected = "only firewall_allow opens ports"
    everything = [each for each in opened if each.everything and each.certain]
    if everything:
        fixes = [advice(snapshot.firewall, settings, each.outcome) for each in everything]
        return fail(
            expected,
            f"the firewall is not in force: {', '.join(map(str, everything))}",
            fix="; ".join(dict.fromkeys(fixes)),
        )
    if doubts := [each.outcome.rule for each in opened if not each.certain]:
        return unknown(
            f"gpuhost cannot say what these rules let in: {', '.join(dict.fromkeys(doubts))}",
            fix="connect to a port that is not declared from another machine",
        )
    opening = list(dict.fromkeys([*map(str, opened), *(r.text for r in rules if r.opens)]))
    if opening:
        return warn(
            expected,
            f"{len(opening)} foreign rules open ports",
            evidence="\n".join(opening),
            fix="add them to firewall_allow, or delete them",
        )
    number = f"{len(rules)} foreign rules, kept" if rules else "none"
    return ok(number, evidence="\n".join(rule.text for rule in rules))
