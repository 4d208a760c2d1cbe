"""The ports of a release: published as declared, no other, and with a listening socket."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuhost.checks.deployed import OLDER, deployed_check
from gpuhost.checks.deployed.deployed_app import DeployedApp
from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.containers import Binding, Described

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
    declared = [port for wants in details.services.values() for port in wants.ports]
    wrong = list(dict.fromkeys(_published(app)))
    expected = ", ".join(declared)
    if wrong:
        return fail(expected or "no port", "; ".join(wrong), fix=app.again)
    return ok(expected) if expected else skip("it publishes no port")


def _published(app: DeployedApp) -> Iterator[str]:
    sockets = None if _needs_no_socket(app.snapshot) else listening(app.snapshot)
    for name, wants in app.details.services.items():
        own = [one for one in app.containers if one.service == name]
        declared = frozenset(map(Binding.parse, wants.ports))
        yield from _undeclared(own, declared)
        # A restarting container has none at that moment: app.NAME.restarts judges it.
        if wants.count and not wants.ends and all(one.state != "restarting" for one in own):
            yield from _missing(name, declared, own, sockets)


def _undeclared(own: list[Described], declared: frozenset[Binding]) -> Iterator[str]:
    for container in own:
        for port in sorted(container.declared - declared if container.running else ()):
            yield f"{container.name} publishes {port}, which nobody declared"


def _missing(
    name: str,
    declared: frozenset[Binding],
    own: list[Described],
    sockets: frozenset[tuple[str, str]] | None,
) -> Iterator[str]:
    has = [bound for one in own for bound in one.bound]
    for port in sorted(declared):
        matching = [one for one in has if _matches(one, port)]
        if not matching:
            yield f"no container of {name} has {port}"
        elif sockets is not None and not any((b.protocol, b.ports) in sockets for b in matching):
            yield f"nobody listens on {port} of {name}"


def _matches(bound: Binding, declared: Binding) -> bool:
    """Whether a port is the declared one, or in the declared range."""
    first, _, last = declared.ports.partition("-")
    if (bound.address, bound.protocol) != (declared.address, declared.protocol):
        return False
    if not (first.isdecimal() and bound.ports.isdecimal()):
        return bound == declared
    return int(first) <= int(bound.ports) <= int(last if last.isdecimal() else first)


def _needs_no_socket(snapshot: Snapshot) -> bool:
    """Whether the engine publishes ports by kernel rules only."""
    return (snapshot.docker.config.values or {}).get("userland-proxy") is False


def listening(snapshot: Snapshot) -> frozenset[tuple[str, str]]:
    """Protocol and port of every socket, docker-proxy's too. Raises NotRead."""
    return frozenset(LISTENING.findall(snapshot.probes.output("listeners")))
