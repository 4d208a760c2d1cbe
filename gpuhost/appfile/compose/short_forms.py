"""The short forms of a service's ports and volumes, taken apart."""

from __future__ import annotations

import ipaddress
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

# A port or volume, in the short (text) or long (mapping) form.
Raw = str | Mapping[str, Any]


class BadPort(ValueError):
    """A port that cannot be parsed; str() says why."""


@dataclass(frozen=True)
class Volume:
    """A mount. source: of a bind, as in the file; "" for any other kind.

    + writable: the file itself says that it is (`:rw`, `read_only: false`)
    + read_only: the file says that it is
    + must_exist: Compose does not create the source
    """

    target: str
    source: str = ""
    writable: bool = False
    read_only: bool = False
    must_exist: bool = False


def volume_of(entry: Raw) -> Volume:
    """
    >>> volume_of("./data:/data:ro")
    Volume(target='/data', source='./data', writable=False, read_only=True, must_exist=False)
    """
    if isinstance(entry, str):
        parts = split_colons(entry)
        if len(parts) == 1:
            return Volume(parts[0])
        options = parts[2].split(",") if len(parts) > 2 else []
        source = parts[0] if is_path(parts[0]) else ""
        return Volume(parts[1], source, "rw" in options, "ro" in options)
    target, source = _text(entry.get("target")), _text(entry.get("source"))
    bind = entry.get("bind")
    must_exist = isinstance(bind, Mapping) and bind.get("create_host_path") is False
    read_only = entry.get("read_only")
    is_bind = entry.get("type") == "bind"
    return Volume(
        target, source if is_bind else "", read_only is False, read_only is True, must_exist
    )


def is_path(source: str) -> bool:
    """Whether the first part of a short volume is a path, not the name of a volume."""
    return source.startswith((".", "/", "~", "$"))


def target_of(entry: Any) -> object:
    """What a volume of another file replaces: the one with the same target."""
    return volume_of(entry).target if isinstance(entry, str | Mapping) else repr(entry)


def split_colons(entry: str) -> list[str]:
    """Split at colons, except those inside ${…} and […]."""
    parts, depth = [""], 0
    for character in entry:
        depth += (character in "{[") - (character in "}]")
        if character == ":" and depth == 0:
            parts.append("")
        else:
            parts[-1] += character
    return parts


@dataclass(frozen=True)
class PublishedPort:
    """One entry of `ports`.

    + address: as written; "": every address of the host
    + host: port or range on the host, as written; "": the engine picks one
    + container: port or range inside, without its protocol
    """

    address: str
    host: str
    container: str
    protocol: str = "tcp"

    @classmethod
    def parse(cls, entry: Raw) -> PublishedPort:
        """Raises BadPort."""
        if isinstance(entry, Mapping):
            return cls(
                _text(entry.get("host_ip")),
                _text(entry.get("published")),
                _text(entry.get("target")),
                _text(entry.get("protocol")) or "tcp",
            )
        *before, inside = split_colons(entry)
        if not inside:
            raise BadPort(f"{entry!r} is not a port mapping; write it like 3000:3000")
        host = before.pop() if before else ""
        # An IPv6 address may be without brackets.
        address = ":".join(before).removeprefix("[").removesuffix("]")
        container, _, protocol = inside.partition("/")
        return cls(address, host, container, protocol or "tcp")

    @property
    def is_open(self) -> bool:
        """Only the host can tell: a variable is in it."""
        return "$" in f"{self.address}{self.host}{self.container}"

    @property
    def ports(self) -> frozenset[int]:
        """The ports on the host that the file names; empty if the engine picks one."""
        first, _, last = self.host.partition("-")
        if not (first.isdecimal() and (last or first).isdecimal() and len(self.host) < 12):
            return frozenset()
        return frozenset(range(int(first), min(int(last or first), 65535) + 1))

    @property
    def is_loopback(self) -> bool:
        try:
            return ipaddress.ip_address(self.address).is_loopback
        except ValueError:
            return False

    @property
    def is_picked_from_range(self) -> bool:
        """A range for one port of the container: the engine picks a free one."""
        return len(self.ports) > 1 and "-" not in self.container


def port_key(entry: Any) -> object:
    """Ports that are equal are given once."""
    if isinstance(entry, str | Mapping):
        try:
            return PublishedPort.parse(entry)
        except BadPort:
            return str(entry)
    return repr(entry)


def _text(value: Any) -> str:
    return "" if value is None else str(value)
