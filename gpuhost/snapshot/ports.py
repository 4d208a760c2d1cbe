"""Ports of the host that are in use, also on loopback, and by what."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass
from ipaddress import ip_address

from gpuhost.domain.firewall.listeners import DOCKER_PROXY, ENGINE_PROGRAM, PORT, PROCESS, PUBLISHED
from gpuhost.snapshot.docker import Container, Docker
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request

ANY = ("", "*", "0.0.0.0", "::")  # noqa: S104
LISTENERS = ProbeCommand("listeners", "ss -Hltnup")
REQUEST = Request(probes=(LISTENERS,))


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
        docker = Docker.read(probes)
        if docker.engine is None and isinstance(docker.listed, str):
            # What it publishes is unknown, and no other engine's either.
            return cls(tuple(sorted(set(_listening(probes.output("listeners"))))))
        published = frozenset(used for each in docker.containers for used in _published(each))
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
    try:
        containers = Docker.read(probes).containers
    except NotRead:
        return frozenset()
    return frozenset((u.port, u.protocol) for each in containers for u in _published(each))


def plain_address(text: str) -> str:
    """An address as the kernel writes it; "" for all of the host's.

    **Example:** `[::]` is "", `127.0.0.1%lo` is `127.0.0.1`.
    """
    bare = text.strip("[]").partition("%")[0]
    if bare in ANY:
        return ""
    try:
        return str(ip_address(bare))
    except ValueError:
        return bare


def _listening(ss: str) -> Iterator[UsedPort]:
    """`ss -Hltnup`."""
    for line in ss.splitlines():
        words = line.split(None, 6)
        if len(words) < 6 or words[0] not in ("tcp", "udp"):
            continue
        address, _, port = words[4].rpartition(":")
        process = PROCESS.search(words[6]) if len(words) > 6 else None
        name = process[1] if process else ""
        if PORT.fullmatch(port):
            yield UsedPort(int(port), words[0], plain_address(address), name or "the kernel")


def _published(container: Container) -> Iterable[UsedPort]:
    for match in PUBLISHED.finditer(container.ports):
        first, last = int(match["first"]), int(match["last"] or match["first"])
        for port in range(first, min(last, 65535) + 1):
            yield UsedPort(
                port,
                match["protocol"],
                plain_address(match["address"]),
                f"container {container.name}",
                container.project,
            )
