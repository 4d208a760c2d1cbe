"""The firewall: only declared ports are open, of the host and of its containers."""

from __future__ import annotations

from collections.abc import Callable
from functools import wraps

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.advice import AGAIN
from gpuhost.domain.moment import utc
from gpuhost.plans.firewall import (
    SSH_COMMENT,
    Opening,
    conflicting_rules,
    denies,
    is_missing,
    not_loaded,
    openings,
    stale_rules,
)
from gpuhost.plans.firewall_in_use import refusal
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.firewall import PENDING

Judge = Callable[[Snapshot, Settings], Verdict]


def where_enabled(judge: Judge) -> Judge:
    """Skip the check if no firewall is declared, or gpuhost has not enabled it yet."""

    @wraps(judge)
    def verdict(snapshot: Snapshot, settings: Settings) -> Verdict:
        if not settings.firewall_enabled:
            return skip("firewall_enabled is False")
        if not snapshot.firewall.ufw.installed:
            return later("ufw is not installed")
        if refusal(snapshot, settings):
            return skip("gpuhost has not closed any port on this host yet")
        return judge(snapshot, settings)

    return verdict


@check(
    "firewall.enabled",
    "ufw is enabled, now and at boot, for IPv4 and IPv6, and denies by default.",
)
def enabled(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not settings.firewall_enabled:
        return skip("firewall_enabled is False")
    expected = "ufw is on and denies by default"
    refused = refusal(snapshot, settings)
    if refused:
        return fail(
            expected, "the firewall was not changed", evidence=refused.reason, fix=refused.fix
        )
    ufw = snapshot.firewall.ufw
    faults = {
        "ufw is not installed": not ufw.installed,
        "ufw is off": not ufw.enabled,
        "ufw.service is not enabled: no firewall after the next boot": not ufw.at_boot,
        "IPv6 is not filtered (IPV6 in /etc/default/ufw)": not ufw.ipv6,
        "it does not deny by default": not denies(snapshot.firewall),
        "ufw empties Docker's tables (MANAGE_BUILTINS in /etc/default/ufw)": ufw.owns_tables,
    }
    fault = next((fault for fault, is_so in faults.items() if is_so), None)
    return fail(expected, fault, fix=AGAIN) if fault else ok(expected)


@check("firewall.ssh", "Every port of SSH is allowed.")
@where_enabled
def ssh(snapshot: Snapshot, settings: Settings) -> Verdict:
    ports = [o for o in openings(snapshot.firewall, settings) if o.comment == SSH_COMMENT]
    if not ports:
        return skip("no SSH server on this host")
    return _judge_openings(snapshot, ports)


@check(
    "firewall.allow",
    "ufw allows what `firewall_allow` lists and containers need, and has no old rule of gpuhost.",
)
@where_enabled
def allow(snapshot: Snapshot, settings: Settings) -> Verdict:
    all_openings = openings(snapshot.firewall, settings)
    verdict = _judge_openings(snapshot, [o for o in all_openings if o.comment != SSH_COMMENT])
    stale = stale_rules(snapshot.firewall, all_openings)
    if stale and verdict.status is Status.OK:
        texts = ", ".join(dict.fromkeys(rule.text for rule in stale))
        return fail(verdict.expected, f"left over: {texts}", fix=AGAIN)
    return verdict


def _judge_openings(snapshot: Snapshot, required: list[Opening]) -> Verdict:
    expected = ", ".join(map(str, required))
    lacking = [opening for opening in required if is_missing(snapshot.firewall, opening)]
    forbidden = [
        rule.text for opening in lacking for rule in conflicting_rules(snapshot.firewall, opening)
    ]
    if forbidden:
        return fail(
            expected,
            f"denied by a foreign rule: {', '.join(dict.fromkeys(forbidden))}",
            fix=f"sudo ufw status numbered; sudo ufw delete NUMBER; {AGAIN}",
        )
    if lacking:
        return fail(expected, f"no rule for {', '.join(map(str, lacking))}", fix=AGAIN)
    return ok(expected)


@check("firewall.loaded", "The kernel has the rules of ufw's files.")
@where_enabled
def loaded(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.firewall.ufw.enabled:
        return later("ufw is off")
    problem = not_loaded(snapshot.firewall, openings(snapshot.firewall, settings))
    families = " and ".join(f"IPv{family}" for family in snapshot.firewall.kernel)
    return fail(f"loaded for {families}", problem, fix=AGAIN) if problem else ok(families)


@check("firewall.confirmed", "Every change of the firewall was confirmed by a login.")
@where_enabled
def confirmed(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.paths.get(PENDING):
        return fail(
            "every change is confirmed",
            "a change waits for a new login, and is reverted without one",
            fix=AGAIN,
        )
    if snapshot.firewall.undone:
        when = utc(snapshot.firewall.undone)
        return warn(
            "every change is confirmed",
            f"the last change was reverted at {when:%Y-%m-%d %H:%M} UTC",
            fix=f"test that you can log in to the host, then {AGAIN}",
        )
    return ok("every change is confirmed")
