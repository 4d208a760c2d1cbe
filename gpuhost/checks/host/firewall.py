"""The firewall: closed but for what is declared, for the host and its containers alike."""

from __future__ import annotations

from collections.abc import Callable
from datetime import datetime, timezone
from functools import wraps

from gpuhost.checks.finding import Status, Verdict, fail, later, ok, skip, warn
from gpuhost.checks.registry import check
from gpuhost.domain.firewall.published import fault
from gpuhost.plans.firewall import (
    SSH_COMMENT,
    Opening,
    conflicts,
    denies,
    missing,
    not_loaded,
    openings,
    published_files,
    stale,
)
from gpuhost.plans.firewall_files import LOAD_UNIT, UNDO_UNIT, host_files, is_as_shipped
from gpuhost.plans.firewall_in_use import closed, foreign, published_ports, refusal
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.firewall import PENDING

AGAIN = "run the deploy again"
Judge = Callable[[Snapshot, Settings], Verdict]


def _where_wanted(judge: Judge) -> Judge:
    """A judge that has nothing to say where no firewall is wanted, or none is there yet."""

    @wraps(judge)
    def verdict(snapshot: Snapshot, settings: Settings) -> Verdict:
        if not settings.firewall_enabled:
            return skip("firewall_enabled is False")
        if not snapshot.firewall.ufw.installed:
            return later("ufw is not installed")
        if refusal(snapshot, settings):
            return skip("nothing is closed on this machine yet")
        return judge(snapshot, settings)

    return verdict


@check(
    "firewall.enabled",
    "ufw is switched on, now and at boot, for IPv4 and IPv6, and denies by default.",
)
def enabled(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not settings.firewall_enabled:
        return skip("firewall_enabled is False")
    wanted = "ufw is on and denies by default"
    hindrance = refusal(snapshot, settings)
    if hindrance:
        return fail(wanted, "left as it is", evidence=hindrance.reason, fix=hindrance.fix)
    ufw = snapshot.firewall.ufw
    faults = {
        "ufw is not installed": not ufw.installed,
        "ufw is off": not ufw.enabled,
        "ufw.service is not enabled: off at the next boot": not ufw.at_boot,
        "IPv6 is not guarded (IPV6 in /etc/default/ufw)": not ufw.ipv6,
        "what no rule speaks of is let in": not denies(snapshot.firewall),
        "ufw empties Docker's tables (MANAGE_BUILTINS in /etc/default/ufw)": ufw.owns_tables,
    }
    found = next((fault for fault, is_so in faults.items() if is_so), None)
    return fail(wanted, found, fix=AGAIN) if found else ok(wanted)


@check("firewall.ssh", "Every port on which SSH is really reached is allowed.")
@_where_wanted
def ssh(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = [o for o in openings(snapshot.firewall, settings) if o.comment == SSH_COMMENT]
    if not wanted:
        return skip("no SSH server on this host")
    return _in_files(snapshot, wanted)


@check(
    "firewall.allow",
    "ufw allows what `firewall_allow` says and containers need, and keeps no old rule of ours.",
)
@_where_wanted
def allow(snapshot: Snapshot, settings: Settings) -> Verdict:
    every = openings(snapshot.firewall, settings)
    verdict = _in_files(snapshot, [o for o in every if o.comment != SSH_COMMENT])
    left = stale(snapshot.firewall, every)
    if left and verdict.status is Status.OK:
        texts = ", ".join(dict.fromkeys(rule.text for rule in left))
        return fail(verdict.expected, f"left over: {texts}", fix=AGAIN)
    return verdict


def _in_files(snapshot: Snapshot, wanted: list[Opening]) -> Verdict:
    expected = ", ".join(map(str, wanted))
    lacking = [opening for opening in wanted if missing(snapshot.firewall, opening)]
    forbidden = [rule.text for opening in lacking for rule in conflicts(snapshot.firewall, opening)]
    if forbidden:
        return fail(
            expected,
            f"forbidden by a rule of somebody else: {', '.join(dict.fromkeys(forbidden))}",
            fix=f"sudo ufw status numbered; sudo ufw delete NUMBER; {AGAIN}",
        )
    if lacking:
        return fail(expected, f"no rule for {', '.join(map(str, lacking))}", fix=AGAIN)
    return ok(expected)


@check("firewall.loaded", "The kernel does what ufw's files say.")
@_where_wanted
def loaded(snapshot: Snapshot, settings: Settings) -> Verdict:
    if not snapshot.firewall.ufw.enabled:
        return later("ufw is off")
    problem = not_loaded(snapshot.firewall, openings(snapshot.firewall, settings))
    families = " and ".join(f"IPv{family}" for family in snapshot.firewall.kernel)
    return fail(f"loaded for {families}", problem, fix=AGAIN) if problem else ok(families)


@check(
    "firewall.published",
    "Published container ports obey `firewall_allow` too, after restarts as well.",
)
@_where_wanted
def published(snapshot: Snapshot, settings: Settings) -> Verdict:
    wanted = f"published ports pass through {LOAD_UNIT}'s rules"
    if (snapshot.docker.config.values or {}).get("firewall-backend") == "nftables":
        return fail(
            wanted,
            "Docker's nftables backend has no DOCKER-USER chain",
            fix="take firewall-backend out of /etc/docker/daemon.json and restart Docker",
        )
    problem = _published_fault(snapshot, settings)
    return fail(wanted, problem, fix=AGAIN) if problem else ok(wanted)


def _published_fault(snapshot: Snapshot, settings: Settings) -> str:
    for file in host_files():
        if not is_as_shipped(snapshot, file):
            there = snapshot.paths.get(file.path)
            return f"{file.path} is {'changed' if there else 'missing'}"
    for name in (LOAD_UNIT, UNDO_UNIT):
        if name not in snapshot.firewall.units or not snapshot.firewall.units[name].enabled:
            return f"{name} is not enabled: the rules are gone at the next boot"
    for family, text in published_files(snapshot.firewall, settings).items():
        if snapshot.firewall.published[family] != text:
            return f"the rules for IPv{family} are not those of firewall_allow"
        tables = snapshot.firewall.kernel.get(family)
        problem = fault(text, tables) if tables else ""
        if problem:
            return f"IPv{family}: {problem}"
    return ""


@check("firewall.confirmed", "No change of the firewall waits for a login that confirms it.")
@_where_wanted
def confirmed(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.paths.get(PENDING):
        return fail(
            "every change is confirmed",
            "a change waits for a fresh login, and is undone without one",
            fix=AGAIN,
        )
    if snapshot.firewall.undone:
        when = datetime.fromtimestamp(snapshot.firewall.undone, timezone.utc)
        return warn(
            "every change is confirmed",
            f"the last change was undone at {when:%Y-%m-%d %H:%M} UTC",
            fix=f"look whether the host can be logged in to, then {AGAIN}",
        )
    return ok("every change is confirmed")


@check("firewall.foreign", "No rule of somebody else opens what the settings do not speak of.")
@_where_wanted
def others(snapshot: Snapshot, settings: Settings) -> Verdict:
    rules = foreign(snapshot.firewall, settings)
    opening = [rule.text for rule in rules if rule.opens]
    if opening:
        return warn(
            "only firewall_allow opens ports",
            f"{len(opening)} other rules do",
            evidence="\n".join(opening),
            fix="put them into firewall_allow, or delete them",
        )
    number = f"{len(rules)} rules of others, kept" if rules else "none"
    return ok(number, evidence="\n".join(rule.text for rule in rules))


@check("firewall.closed", "Every port that a container publishes is one that may be reached.")
@_where_wanted
def hidden(snapshot: Snapshot, settings: Settings) -> Verdict:
    ports = closed(published_ports(snapshot), settings)
    if not ports:
        return ok("none is published in vain")
    return warn(
        "published ports are in firewall_allow",
        f"published, but closed: {', '.join(ports)}",
        fix="put them into firewall_allow, or publish them on 127.0.0.1",
    )
