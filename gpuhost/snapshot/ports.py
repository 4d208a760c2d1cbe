"""Ports of the host that are in use, also on loopback, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from itertools import islice

from gpuhost.domain.firewall.listeners import DOCKER_PROXY, ENGINE_PROGRAM
from gpuhost.domain.firewall.sockets import parse_published, parse_sockets
from gpuhost.snapshot.docker import Container, read_containers
from gpuhost.snapshot.engine import read_engine
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

LISTENERS = ProbeCommand("listeners", "ss -Hltnup")
REQUEST = Request(probes=(LISTENERS,))
# Every port of both protocols, on IPv4 and IPv6.
MOST_PORTS = 4 * 65535


@dataclass(frozen=True, order=True)
class UsedPort:
    """A port in use on an address ("": on all).

    + holder: the program or container that uses it
    + project: of the container that publishes it
    """

    port: int
    protocol: str
    address: str
    holder: str
    project: str | None = None

    def conflicts_with(self, address: str) -> bool:
        """Whether it prevents other use of the port on that address ("": on all)."""
        return not self.address or not address or self.address == address


@dataclass(frozen=True)
class Ports:
    """Every port that a program listens on or a container publishes.

    + proxied: ports with their protocol on which docker-proxy listens for an engine that was not
      read: no known container publishes them
    """

    taken: tuple[UsedPort, ...]
    proxied: tuple[tuple[int, str], ...] = ()

    def of(self, port: int, protocol: str) -> tuple[UsedPort, ...]:
        return tuple(used for used in self.taken if (used.port, used.protocol) == (port, protocol))

    @classmethod
    def read(cls, probes: Probes) -> Ports:
        listed = read_containers(probes)
        if isinstance(listed, str):
            if read_engine(probes)[0]:
                raise NotRead(listed)
            # What it publishes is unknown, and no other engine's either.
            return cls(tuple(sorted(set(_listening(probes.output("listeners"))))))
        published = frozenset(_all_published(listed))
        known = {(used.port, used.protocol) for used in published}
        # Without its userland proxy the engine itself holds what containers publish (moby#28589).
        itself = {(used.port, used.protocol, used.address, ENGINE_PROGRAM) for used in published}
        listening = {
            used
            for used in _listening(probes.output("listeners"))
            if (used.holder != DOCKER_PROXY or (used.port, used.protocol) not in known)
            and (used.port, used.protocol, used.address, used.holder) not in itself
        }
        proxied = {(u.port, u.protocol) for u in listening if u.holder == DOCKER_PROXY}
        return cls(tuple(sorted(published | listening)), tuple(sorted(proxied)))


def published_ports(probes: Probes) -> frozenset[tuple[int, str]]:
    """Ports and protocols of every container that was read, on any address; none if none was."""
    listed = read_containers(probes)
    containers = () if isinstance(listed, str) else listed
    return frozenset((u.port, u.protocol) for each in containers for u in _published(each))


def _listening(ss: str) -> Iterator[UsedPort]:
    for socket in parse_sockets(ss):
        if socket.protocol in ("tcp", "udp"):
            holder = socket.process or "the kernel"
            yield UsedPort(socket.port, socket.protocol, socket.address, holder)


def _all_published(containers: Iterable[Container]) -> list[UsedPort]:
    each = (used for container in containers for used in _published(container))
    first = list(islice(each, MOST_PORTS + 1))
    if len(first) > MOST_PORTS:
        raise NotRead(f"containers publish more than {MOST_PORTS} ports")
    return first


def _published(container: Container) -> Iterator[UsedPort]:
    for ports in parse_published(container.ports, container.name):
        for port in range(ports.first, min(ports.last, 65535) + 1):
            holder = f"container {container.name}"
            yield UsedPort(port, ports.protocol, ports.address, holder, container.project)
