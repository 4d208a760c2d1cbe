"""Checks of a host with apps: undeclared published ports, and unreadable state."""

from __future__ import annotations

from collections.abc import Iterator
from ipaddress import ip_address
from shlex import join

from gpuhost.checks.finding import Verdict, fail, later, ok, warn
from gpuhost.checks.registry import Check
from gpuhost.domain.firewall.rule import FirewallRule
from gpuhost.plans.firewall import allowed_rules
from gpuhost.runner.contract import APPS
from gpuhost.settings import Settings
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.app_state import AppState
from gpuhost.snapshot.containers import Binding, InspectedContainer


def state(snapshot: Snapshot, settings: Settings) -> Verdict:
    names = ", ".join(snapshot.apps.by_name) or "none"
    if misnamed := snapshot.apps.misnamed:
        return warn(
            "directories of apps only",
            f"no app can have this name: {', '.join(map(repr, misnamed))}",
            evidence=f"apps: {names}",
            fix=f"move it away from {APPS}",
        )
    return ok(names)


def published(snapshot: Snapshot, settings: Settings) -> Verdict:
    if snapshot.docker.engine is None:
        return later("the engine does not answer")
    ports = sorted(_published(snapshot, settings))
    if not ports:
        return ok("all are declared")
    names = join(dict.fromkeys(name for name, _ in ports))
    return fail(
        "ports of apps, and those of firewall_allow",
        "; ".join(f"{name} publishes {port}" for name, port in ports),
        fix=f"docker stop {names}, publish it on 127.0.0.1, or add the port to firewall_allow",
    )


def _published(snapshot: Snapshot, settings: Settings) -> Iterator[tuple[str, str]]:
    """Name and port."""
    rules = allowed_rules(settings)
    apps = {app.project: app for app in snapshot.apps.by_name.values()}
    for container in snapshot.containers.all:
        if not container.running or _is_of(apps.get(container.project), container):
            continue
        for port in container.bound:
            if _is_reachable(port) and not any(_opens(rule, port) for rule in rules):
                yield container.name, str(port)


def _is_of(app: AppState | None, container: InspectedContainer) -> bool:
    """Whether app.NAME.ports checks it, or its release is not known at the moment.

    Commands run by hand and services outside the release are in its project too.
    """
    if app is None or container.one_off:
        return False
    if app.under_way or isinstance(app.details, str) or not app.details.kept:
        return True
    return container.service in app.details.services


def _opens(rule: FirewallRule, port: Binding) -> bool:
    number = int(port.ports)
    return rule.mentions(number, number, "udp" if port.protocol == "udp" else "tcp")


def _is_reachable(port: Binding) -> bool:
    try:
        return not (port.address and ip_address(port.address).is_loopback)
    except ValueError:
        return True


HOST_CHECKS = (
    Check("app.state", "The host's record of its apps can be read.", state),
    Check(
        "docker.published",
        "Only containers of apps publish ports that are not in `firewall_allow`.",
        published,
    ),
)
