"""The ports of a release: published as declared, no other, and really listened on."""

from __future__ import annotations

import re
from collections.abc import Iterator

from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.checks.released.registry import OLDER, Subject, released_check
from gpuhost.snapshot import Snapshot
from gpuhost.snapshot.apps_details import WantedService
from gpuhost.snapshot.containers import Binding, Described

LISTENING = re.compile(r"^(tcp|udp)\s+\S+\s+\d+\s+\d+\s+\S+:(\d{1,5})\s", re.MULTILINE)


@released_check(
    "ports",
    "Its containers publish the ports that the release declares and no other, and these are "
    "listened on.",
    settles=True,
)
def ports(subject: Subject) -> Verdict:
    details = subject.details
    if not details.kept:
        return skip(OLDER)
    declared = [port for wants in details.services.values() for port in wants.ports]
    wrong = list(dict.fromkeys(_published(subject)))
    expected = ", ".join(declared)
    if wrong:
        return fail(expected or "no port", "; ".join(wrong), fix=subject.again)
    return ok(expected) if expected else skip("it publishes no port")


def _published(subject: Subject) -> Iterator[str]:
    heard = None if _needs_no_socket(subject.now) else listening(subject.now)
    for container, wants in subject.running:
        yield from _declared_otherwise(container, wants)
        for port in sorted(container.declared):
            found = [one for one in container.bound if _is(one, port)]
            if not found:
                yield f"{container.name} does not have {port}"
            elif heard is not None and not any((b.protocol, b.ports) in heard for b in found):
                yield f"nobody listens on {port} of {container.name}"


def _declared_otherwise(container: Described, wants: WantedService) -> Iterator[str]:
    wanted = frozenset(map(Binding.parse, wants.ports))
    for port in sorted(wanted - container.declared):
        yield f"{container.name} does not publish {port}"
    for port in sorted(container.declared - wanted):
        yield f"{container.name} publishes {port}, which nobody declared"


def _is(bound: Binding, declared: Binding) -> bool:
    """Whether a port is the declared one, or of the declared range."""
    first, _, last = declared.ports.partition("-")
    place = (bound.address, bound.protocol) == (declared.address, declared.protocol)
    if not (place and first.isdecimal() and bound.ports.isdecimal()):
        return bound == declared
    return int(first) <= int(bound.ports) <= int(last if last.isdecimal() else first)


def _needs_no_socket(now: Snapshot) -> bool:
    """Whether the engine publishes ports by rules of the kernel alone."""
    return (now.docker.config.values or {}).get("userland-proxy") is False


def listening(now: Snapshot) -> frozenset[tuple[str, str]]:
    """Protocol and port of every socket, docker-proxy's too. Raises NotRead."""
    return frozenset(LISTENING.findall(now.probes.output("listeners")))
