"""Where the engine's API answers over the network, by what listens and by what is configured."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, replace

from gpuhost.domain.firewall.sockets import is_loopback, plain_address
from gpuhost.plans.docker_flags import engine_setting, switch
from gpuhost.snapshot import NotRead, Snapshot
from gpuhost.snapshot.docker import DAEMON_JSON
from gpuhost.snapshot.units import ENGINE_SOCKET

PROGRAMS = ("dockerd", "podman", "balenad", "balena-engine-d")
# opts.ParseHost: without a scheme an address is TCP; without a port 2375, with TLS 2376.
ADDRESS = re.compile(r"^(?:tcp://)?(\[[^]]*\]|[^:/\[\]]*)(?::(\d{1,5}))?(?:/.*)?$")
PLAIN, TLS = 2375, 2376
# Managers of a swarm, and its nodes among themselves: with certificates of the swarm's own.
SWARM = (2377, 7946)
STREAM = re.compile(r"^(.*):(\d{1,5}) \(Stream\)$")


@dataclass(frozen=True)
class Endpoint:
    """An address of the API.

    + address: "" for all of the host's
    + verified: a client needs a certificate
    + source: what configures it; "" if it only listens
    """

    address: str
    port: int
    verified: bool
    source: str = ""

    @property
    def loopback(self) -> bool:
        return self.address == "localhost" or is_loopback(self.address)

    def __str__(self) -> str:
        where = f"{self.address or 'all addresses'}:{self.port}"
        return f"tcp {where} ({self.source or 'listens now'})"


def endpoints(snapshot: Snapshot) -> list[Endpoint]:
    """Every address, the configured ones first."""
    verified = switch(snapshot, "tlsverify") is True
    configured = list(dict.fromkeys(_configured(snapshot)))
    live = list(_live(snapshot, {each.port for each in configured}))
    return [replace(each, verified=verified) for each in (*configured, *live)]


def relays(snapshot: Snapshot) -> list[str]:
    """Programs and containers on the port that is Docker's API without TLS: they may pass it on."""
    return [
        f"tcp {used.address or 'all addresses'}:{used.port} ({used.holder})"
        for used in snapshot.ports.taken
        if (used.port, used.protocol) == (PLAIN, "tcp")
        and used.holder not in (*PROGRAMS, "systemd")
    ]


def _configured(snapshot: Snapshot) -> Iterator[Endpoint]:
    default = TLS if switch(snapshot, "tls") or switch(snapshot, "tlsverify") else PLAIN
    for each in snapshot.docker_unit.flags or ():
        if each.flag.name == "host":
            yield from _parse(each.flag.value, default, str(each))
    hosts = (snapshot.docker.config.values or {}).get("hosts")
    for host in hosts if isinstance(hosts, list) else ():
        yield from _parse(str(host), default, f'"hosts" in {DAEMON_JSON}')
    if snapshot.docker.socket.active or snapshot.docker.socket.enabled:
        for listens in snapshot.docker.socket.listens:
            if match := STREAM.match(listens):
                source = f"ListenStream of {ENGINE_SOCKET}"
                yield Endpoint(plain_address(match[1]), int(match[2]), False, source)


def _parse(host: str, default: int, source: str) -> Iterator[Endpoint]:
    if not host.strip() or ("://" in host and not host.startswith("tcp://")):
        return
    match = ADDRESS.match(host.strip())
    if match:
        # tcp:// alone is localhost; with a port alone, all addresses.
        address = "localhost" if not match[1] and not match[2] else plain_address(match[1])
        yield Endpoint(address, int(match[2] or default), False, source)


def _live(snapshot: Snapshot, known: set[int]) -> Iterator[Endpoint]:
    """Ports of an engine that are no published ones: those are their containers'."""
    engine = snapshot.docker.engine
    metrics = _metrics_port(snapshot)
    for used in snapshot.ports.taken:
        if used.holder not in PROGRAMS or used.protocol != "tcp" or used.port in known:
            continue
        if str(used.port) == metrics or used.port in SWARM:
            continue
        if used.port not in (PLAIN, TLS):
            # A node of a swarm listens for published services.
            if engine and engine.swarm:
                continue
            if engine is None and not known and _may_publish(snapshot):
                raise NotRead(
                    f"{used.holder} listens on {used.port}: for a container or as the API, which"
                    " only a running engine says"
                )
        yield Endpoint(used.address, used.port, False)


def _may_publish(snapshot: Snapshot) -> bool:
    """Whether dockerd itself holds published ports: without its userland proxy."""
    return switch(snapshot, "userland-proxy") is False


def _metrics_port(snapshot: Snapshot) -> str:
    address = engine_setting(snapshot, "metrics-addr")
    return str(address.value).rpartition(":")[2] if address else ""
