"""Published ports: on the loopback interface, unless the app declares them public."""

from __future__ import annotations

import ipaddress
from collections.abc import Iterable, Iterator, Mapping
from copy import deepcopy
from dataclasses import dataclass
from itertools import combinations
from typing import Any

from gpuhost.runner.docker.resolved_model import Model, extension, running
from gpuhost.runner.lib.failure import Failure
from gpuhost.runner.plan import Plan

LOOPBACK = "127.0.0.1"
EVERYWHERE = ("", "0.0.0.0", "::")  # noqa: S104
BOTH_FAMILIES = {"0.0.0.0", "::"}  # noqa: S104


@dataclass(frozen=True)
class Claim:
    """Ports of a service on the host.

    + service: "": the app's site on the host's nginx
    """

    service: str
    ports: range
    protocol: str
    address: str

    def shared(self, other: Claim) -> int | None:
        """The first port that both want, or None."""
        addresses = {self.address, other.address}
        if self.protocol != other.protocol or addresses == BOTH_FAMILIES:
            return None
        if len(addresses) > 1 and not addresses & set(EVERYWHERE):
            return None
        start = max(self.ports.start, other.ports.start)
        return start if start < min(self.ports.stop, other.ports.stop) else None


def ports(model: Model, plan: Plan, site: Iterable[int]) -> tuple[Model, tuple[str, ...]]:
    """The model with the address of every port, and notes for the log.

    + site: ports of the app's site on the host's nginx

    Raises Failure.
    """
    changed = deepcopy(model)
    said: list[str] = []
    services = running(changed)
    _refuse_unknown(plan.public, services, extension(changed).inactive)
    for name, section in services.items():
        bound: list[dict[str, Any]] = []
        for entry in section.get("ports") or ():
            said += _bind(name, entry, _public_of(name, plan.public))
            # 0.0.0.0 and [::] are one on the loopback interface.
            bound += [entry] if entry not in bound else []
        if bound:
            section["ports"] = bound
        if section.get("network_mode") == "host":
            said.append(
                f"{name}: network_mode host: its ports are not bound to {LOOPBACK}; only a "
                "firewall can close them"
            )
    claims = [claim for name, section in services.items() for claim in _claims(name, section)]
    _refuse_clashes([*claims, *(Claim("", range(p, p + 1), "tcp", "") for p in site)])
    return changed, tuple(dict.fromkeys(said))


def _bind(name: str, entry: dict[str, Any], public: set[int]) -> Iterator[str]:
    published, address = published_ports(entry), str(entry.get("host_ip") or "")
    named = public & set(published)
    if not named:
        if is_loopback(address):
            return
        entry["host_ip"] = LOOPBACK
        if published:
            port = entry["published"]
            first = f'"{name}:{published.start}"'
            more = "" if len(published) == 1 else ", …], each port of the range,"
            lines = f"[{first}{more or ']'}"
            yield f"{name}: port {port} on {LOOPBACK}; public: {lines} opens it"
        return
    if missing := set(published) - public:
        raise Failure(
            f"public: {name}:{min(missing)} is missing, of the range {entry['published']}",
            fix=f"name every port of the range in x-gpuhost.public, or none of {name}",
        )
    if is_loopback(address):
        raise Failure(
            f"public: {name}:{min(named)}: the Compose file binds it to {address}",
            fix=f"remove {address} from the port in the Compose file, or the line from "
            "x-gpuhost.public",
        )


def _refuse_unknown(
    public: Iterable[str], services: Mapping[str, Mapping[str, Any]], inactive: Iterable[str]
) -> None:
    for line in public:
        name, _, port = line.rpartition(":")
        if name in services:
            known = [p for e in services[name].get("ports") or () for p in published_ports(e)]
            if int(port) not in known:
                raise Failure(
                    f"public: {line}: the service publishes no such port",
                    fix=f"correct x-gpuhost.public; {name} publishes "
                    f"{', '.join(map(str, known)) or 'no port'}",
                )
        elif name not in inactive:
            raise Failure(
                f"public: {line}: the Compose files have no service {name}",
                fix=f"correct x-gpuhost.public; the services are {', '.join(services)}",
            )


def _refuse_clashes(claims: Iterable[Claim]) -> None:
    for one, other in combinations(claims, 2):
        port = one.shared(other)
        if port is None:
            continue
        first, second = sorted((one.service, other.service))
        if not first:
            raise Failure(
                f"port {port}: service {second} publishes it, and the app's site on the host's "
                "nginx listens on it",
                fix=f"publish another port for {second} (often a variable: x-gpuhost.variables); "
                f"or, if {second} is the project's own proxy, remove x-gpuhost.nginx",
            )
        raise Failure(
            f"port {port}/{one.protocol} is published by two services, {first} and {second}"
            if first != second
            else f"service {first} publishes port {port}/{one.protocol} twice",
            fix="publish another port for one of them (often a variable: x-gpuhost.variables), or "
            "leave one out (leave_out)",
        )


def _claims(name: str, section: Mapping[str, Any]) -> Iterator[Claim]:
    for entry in section.get("ports") or ():
        if published := published_ports(entry):
            protocol = str(entry.get("protocol") or "tcp")
            # A range with one container port: the engine takes one that is free.
            if len(published) == 1:
                yield Claim(name, published, protocol, str(entry.get("host_ip") or ""))


def published_ports(entry: Mapping[str, Any]) -> range:
    """Empty if the engine chooses the port."""
    first, _, last = str(entry.get("published") or "").partition("-")
    if not first.isdecimal() or first == "0":
        return range(0)
    return range(int(first), int(last if last.isdecimal() else first) + 1)


def _public_of(service: str, public: Iterable[str]) -> set[int]:
    pairs = (line.rpartition(":") for line in public)
    return {int(port) for name, _, port in pairs if name == service}


def is_loopback(address: str) -> bool:
    try:
        return ipaddress.ip_address(address).is_loopback
    except ValueError:
        return False
