"""The ports of a release: published as declared, no other, and with a listening socket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.plans.docker_flags import switch
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.containers import Binding, InspectedContainer

LISTENING = re.compile(r"^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+\S+:(\d{1,5})\s", re.MULTILINE)


@deployed_check(
    "ports",
    "Its containers publish exactly the declared ports, and each has a listening socket.",
    settles=True,
)
def ports(app: DeployedApp) -> Verdict:
    details = app.details
    if not details.kept:
        return skip(OLDER)
    declared = [port for service in details.services.values() for port in service.ports]
    wrong = list(dict.fromkeys(_published(app)))
    expected = ", ".join(declared)
    if wrong:
        return fail(expected or "no port", "; ".join(wrong), fix=app.release_command)
    return ok(expected) if expected else skip("it publishes no port")


def _published(app: DeployedApp) -> Iterator[str]:
    # Without its proxy the engine publishes ports by kernel rules only.
    has_sockets = switch(app.snapshot, "userland-proxy") is not False
    sockets = listening(app.snapshot) if has_sockets else None
    for name, service in app.details.services.items():
        containers = [container for container in app.containers if container.service == name]
        declared = frozenset(map(Binding.parse, service.ports))
        yield from _undeclared(containers, declared)
        # A restarting container publishes none at that moment: app.NAME.restarts reports it.
        if (
            service.count
            and not service.ends
            and all(container.state != "restarting" for container in containers)
        ):
            yield from _missing(name, declared, containers, sockets)


def _undeclared(
    containers: list[InspectedContainer], declared: frozenset[Binding]
) -> Iterator[str]:
    for container in containers:
        for port in sorted(container.declared - declared if container.running else ()):
            yield f"{container.name} publishes {port}, which is not declared"


def _missing(
    name: str,
    declared: frozenset[Binding],
    containers: list[InspectedContainer],
    sockets: frozenset[tuple[str, str]] | None,
) -> Iterator[str]:
    bound_ports = [bound for container in containers for bound in container.bound]
    for port in sorted(declared):
        matching = [bound for bound in bound_ports if _matches(bound, port)]
        if not matching:
            yield f"no container of {name} publishes {port}"
        elif sockets is not None and not any((b.protocol, b.ports) in sockets for b in matching):
            yield f"nothing listens on {port} of {name}"


def _matches(bound: Binding, declared: Binding) -> bool:
    """Whether a port is the declared one, or in the declared range."""
    first, _, last = declared.ports.partition("-")
    if (bound.address, bound.protocol) != (declared.address, declared.protocol):
        return False
    if not (first.isdecimal() and bound.ports.isdecimal()):
        return bound == declared
    return int(first) <= int(bound.ports) <= int(last if last.isdecimal() else first)


def listening(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """Protocol and port of every socket, docker-proxy's too. Raises NotRead."""
    return frozenset(LISTENING.findall(snapshot.probes.output("listeners")))
