"""What only one app can have on a host: ports, container names, networks."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from shlex import join, quote

from gpuhost.appfile.compose.short_forms import BadPort, PublishedPort
from gpuhost.checks.finding import Verdict, fail, ok, skip
from gpuhost.checks.preflight import app_check
from gpuhost.checks.preflight.proposal import Proposal
from gpuhost.domain.firewall.sockets import plain_address
from gpuhost.snapshot.ports import UsedPort

ALL_ADDRESSES, LOOPBACK = "", "127.0.0.1"
NO_ENGINE = "the engine does not answer"
# The program that listens for every site on the host.
NGINX = "nginx"


@dataclass(frozen=True)
class NeededPort:
    """A port that a release needs.

    + address: "" for all of the host's
    + user: a service, or nginx
    + is_site: of a site on the host's nginx, which has it already if there are other sites
    """

    port: int
    protocol: str
    address: str
    user: str
    is_site: bool = False

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol} of {self.user}"


@app_check("app.ports", "Every port that the app publishes is free, or its own already.")
def ports(proposal: Proposal) -> Verdict:
    if proposal.snapshot.docker.engine is None:
        return skip(NO_ENGINE)
    try:
        needed = [*_published(proposal), *_of_nginx(proposal)]
    except BadPort as error:
        return fail("ports as Compose writes them", str(error), fix=f"correct {proposal.app.path}")
    if not needed:
        return skip("it publishes no port")
    if twice := list(_twice(needed)):
        return fail("each port once", "; ".join(twice), fix=_remedy(needed, proposal))
    clashes = [f"{port}: {used.holder}" for port in needed for used in _holders(port, proposal)]
    numbers = ", ".join(str(port.port) for port in needed)
    if not clashes:
        return ok(numbers)
    return fail(
        f"{numbers} free",
        f"taken: {'; '.join(clashes)}",
        fix="stop what uses it, or publish another port in the app file",
    )


def _published(proposal: Proposal) -> Iterator[NeededPort]:
    """Raises BadPort."""
    for name, service in proposal.services.items():
        for entry in service.ports:
            published = PublishedPort.parse(entry)
            # Only the host can tell what a variable is; and a port of the engine's choice is free.
            if published.is_open or published.is_picked_from_range:
                continue
            for port in sorted(published.ports):
                address = _address(published, f"{name}:{port}" in proposal.app.block.public)
                yield NeededPort(port, published.protocol, address, name)


def _address(published: PublishedPort, is_public: bool) -> str:
    """Where it is published: on loopback, unless it is public."""
    if is_public or published.is_loopback:
        return plain_address(published.address)
    return LOOPBACK


def _twice(needed: list[NeededPort]) -> Iterator[str]:
    """Ports that two need on the same address, or on all."""
    for index, port in enumerate(needed):
        for other in needed[:index]:
            same = (port.port, port.protocol) == (other.port, other.protocol)
            if same and (port.address == other.address or "" in (port.address, other.address)):
                yield f"{port.port}/{port.protocol} is for {other.user} and for {port.user}"


def _remedy(needed: list[NeededPort], proposal: Proposal) -> str:
    site = proposal.app.block.nginx
    if site and any(port.is_site for port in needed):
        return (
            "let one of them have another port: x-gpuhost.nginx.port, or the service's; if the "
            "project's own proxy serves the site, remove x-gpuhost.nginx and list its ports in "
            "x-gpuhost.public"
        )
    return "publish one of them on another port"


def _of_nginx(proposal: Proposal) -> Iterator[NeededPort]:
    site = proposal.app.block.nginx
    if site and site.where == "host":
        for port in (site.port, site.tls_port) if site.tls else (site.port,):
            yield NeededPort(port, "tcp", ALL_ADDRESSES, NGINX, is_site=True)


def _holders(needed: NeededPort, proposal: Proposal) -> Iterator[UsedPort]:
    """What uses the port, each holder once: a container on IPv4 and IPv6 counts once."""
    seen = set()
    for used in proposal.snapshot.ports.of(needed.port, needed.protocol):
        is_own = used.project == proposal.app.project
        is_shared = needed.is_site and used.holder == NGINX
        if is_own or is_shared or not used.conflicts_with(needed.address):
            continue
        if used.holder not in seen:
            seen.add(used.holder)
            yield used


@app_check("app.names", "The app's container names are its own, and each is given once.")
def names(proposal: Proposal) -> Verdict:
    if proposal.snapshot.docker.engine is None:
        return skip(NO_ENGINE)
    scaled = {name for name, count in proposal.app.block.scale.items() if count > 1}
    needed = [
        service.container_name
        for name, service in proposal.services.items()
        if service.container_name and name not in scaled
    ]
    if not needed:
        return skip("it sets no container name")
    # A name with a variable is known on the host only.
    twice = sorted({name for name in needed if needed.count(name) > 1 and "$" not in name})
    if twice:
        return fail(
            "each container name once",
            f"{', '.join(twice)}: two services of the app have it",
            fix="give each service its own container_name, or none",
        )
    taken = [container for container in proposal.foreign if container.name in needed]
    if not taken:
        return ok(", ".join(needed))
    described = (f"{box.name} ({box.state}, of project {box.project or 'none'})" for box in taken)
    return fail(
        f"{', '.join(needed)} free",
        f"taken: {', '.join(described)}",
        fix=f"{'; '.join(_rename(box.name) for box in taken)}; or, to take over that deployment, "
        "set x-gpuhost.project to its project, and adopt=True",
    )


def _rename(name: str) -> str:
    """Without its name, the container loses nothing."""
    return f"docker rename {quote(name)} {quote(f'{name}-before')}"


@app_check("app.networks", "External networks exist, and the app's own networks belong to it.")
def networks(proposal: Proposal) -> Verdict:
    if proposal.snapshot.docker.engine is None:
        return skip(NO_ENGINE)
    existing, project = proposal.snapshot.networks.by_name, proposal.app.project
    missing, conflicting = [], []
    for key, name, external in _networks(proposal):
        network = existing.get(name)
        if external and network is None:
            missing.append(name)
        if not external and network and (network.project, network.key) != (project, key):
            made = (
                f"project {network.project} as {network.key}"
                if network.project
                else "an unknown program"
            )
            conflicting.append((name, made))
    if conflicting:
        return fail(
            f"networks of project {project}",
            "; ".join(f"{name} exists, made by {made}" for name, made in conflicting),
            fix=f"docker network rm {join(name for name, _ in conflicting)} if it is not used, or "
            "declare it external: true",
        )
    if missing:
        return fail(
            f"{', '.join(missing)}, which the app declares external",
            "not found",
            fix="; ".join(f"docker network create {name}" for name in missing),
        )
    return ok(", ".join(name for _, name, _ in _networks(proposal)) or "none of its own")


def _networks(proposal: Proposal) -> Iterator[tuple[str, str, bool]]:
    """Key, name on the host, and whether it is external; only networks that a service uses."""
    declared = proposal.app.compose.networks
    used = {key for service in proposal.services.values() for key in service.networks}
    if any(
        not service.networks and service.network_mode is None
        for service in proposal.services.values()
    ):
        used.add("default")
    for key in sorted(used):
        network = declared.get(key)
        name = network.name if network and network.name else None
        external = bool(network and network.external)
        # Only Compose knows a name with a variable in it.
        if not (name and "$" in name):
            yield key, name or (key if external else f"{proposal.app.project}_{key}"), external
