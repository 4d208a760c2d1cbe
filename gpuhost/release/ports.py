"""Published ports: on the loopback interface, unless the app declares them public."""

from __future__ import annotations

import ipaddress
import re
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

LOOPBACK = "127.0.0.1"
# The default of ${PORT:-3000} and ${PORT-3000}.
DEFAULT = re.compile(r"\$\{[A-Za-z_][A-Za-z0-9_]*:?-([^${}]*)\}")


class BadPort(ValueError):
    """A port that cannot be parsed, or cannot be public as declared; str() says why."""


@dataclass(frozen=True)
class PublishedPort:
    """One entry of `ports`.

    + address: as written; "": every address of the host
    + host: port or range on the host, as written; "": the engine picks one
    + container: port or range inside, with its protocol
    + long: the mapping of the long syntax, or None
    """

    address: str
    host: str
    container: str
    long: Mapping[str, Any] | None = None

    @classmethod
    def parse(cls, entry: str | Mapping[str, Any]) -> PublishedPort:
        """Raises BadPort."""
        if isinstance(entry, Mapping):
            return cls(
                _text(entry.get("host_ip")),
                _text(entry.get("published")),
                _text(entry.get("target")),
                entry,
            )
        *before, container = _split_colons(entry)
        host = before.pop() if before else ""
        # An IPv6 address may be without brackets.
        address = ":".join(before)
        return cls(address.removeprefix("[").removesuffix("]"), host, container)

    @property
    def ports(self) -> frozenset[int]:
        """The ports on the host, as far as known; variables have their default."""
        text = DEFAULT.sub(r"\1", self.host or self.container).partition("/")[0]
        first, _, last = text.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and len(text) < 12):
            return frozenset()
        return frozenset(range(int(first), min(int(last or first), 65535) + 1))

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    def bound_to(self, address: str) -> str | dict[str, Any]:
        """The entry with another address, in the syntax it was written in."""
        if self.long is not None:
            return {**self.long, "host_ip": address} if address else dict(self.long)
        where = f"[{address}]" if ":" in address else address
        return ":".join([*([where] if where else []), self.host, self.container])


def bind_ports(
    service: str, entries: Sequence[str | Mapping[str, Any]], public: Sequence[str]
) -> list[str | dict[str, Any]]:
    """A service's ports as they are published on the host.

    + public: ports that are declared public, "service:port"; they keep the address of the file.
      Every other port keeps a loopback address, or gets 127.0.0.1

    Raises BadPort.
    """
    declared = {int(port) for name, _, port in _split_public(public) if name == service}
    published = parse_ports(service, entries)
    missing = declared - {port for one in published for port in one.ports}
    if missing:
        raise BadPort(f"public: {service}:{min(missing)}: the service publishes no such port")
    return [_bind(service, one, declared) for one in published]


def _bind(service: str, one: PublishedPort, declared: set[int]) -> str | dict[str, Any]:
    named = declared & one.ports
    if not named:
        return one.bound_to(one.address if one.is_loopback else LOOPBACK)
    if named != one.ports:
        missing = min(one.ports - declared)
        raise BadPort(f"public: {service}:{missing} is missing, of the range {one.host}")
    if one.is_loopback:
        raise BadPort(f"public: {service}:{min(named)}: the file binds it to {one.address}")
    return one.bound_to(one.address) if one.host or one.address else one.container


def parse_ports(service: str, entries: Sequence[str | Mapping[str, Any]]) -> list[PublishedPort]:
    """Raises BadPort, which names the service."""
    try:
        return [PublishedPort.parse(entry) for entry in entries]
    except BadPort as error:
        raise BadPort(f"services.{service}.ports: {error}") from None


def _split_colons(entry: str) -> list[str]:
    """Split at colons, except those inside ${…} and […]."""
    parts, depth = [""], 0
    for character in entry:
        depth += (character in "{[") - (character in "}]")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    if depth != 0 or not parts[-1]:
        raise BadPort(f"{entry!r} is not a port mapping; write it like 3000:3000")
    return parts


def _split_public(public: Sequence[str]) -> Iterator[tuple[str, str, str]]:
    return (entry.rpartition(":") for entry in public)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
