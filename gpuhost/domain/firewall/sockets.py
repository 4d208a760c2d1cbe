"""Sockets as `ss` prints them, and ports of containers as `docker ps` does."""

from __future__ import annotations

import re
from collections.abc import Iterator
from dataclasses import dataclass, field
from ipaddress import IPv6Address, ip_address

PORT = re.compile(r"[0-9]{1,5}")
PROCESS = re.compile(r'\("([^"]*)",pid=(\d+)')
PUBLISHED = re.compile(
    r"(?P<address>\S+):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?->\S+/(?P<protocol>\w+)"
)
PROTOCOLS = ("tcp", "udp", "sctp", "dccp", "raw")
ANY = ("", "*", "0.0.0.0", "::")  # noqa: S104


def plain_address(text: str) -> str:
    """An address as the kernel writes it; "" for all of the host's.

    **Example:** `[::]` is "", `127.0.0.1%lo` is `127.0.0.1`, and so is `[::ffff:127.0.0.1]`, as
    Java listens on it.
    """
    bare = text.strip("[]").partition("%")[0]
    if bare in ANY:
        return ""
    try:
        address = ip_address(bare)
    except ValueError:
        return bare
    mapped = address.ipv4_mapped if isinstance(address, IPv6Address) else None
    return plain_address(str(mapped)) if mapped else str(address)


def is_loopback(address: str) -> bool:
    try:
        return ip_address(plain_address(address)).is_loopback
    except ValueError:
        return False


@dataclass(frozen=True)
class Socket:
    """A socket that listens.

    + address: "" for all of the host's
    + port: of a raw socket: the IP protocol
    + process: its program, "" if the kernel itself listens
    """

    protocol: str
    address: str
    port: int
    process: str


def parse_sockets(ss: str) -> Iterator[Socket]:
    """`ss -Hltnup` or `ss -HlnpwSd`."""
    for line in ss.splitlines():
        words = line.split(None, 6)
        if len(words) < 6 or words[0] not in PROTOCOLS:
            continue
        address, _, port = words[4].rpartition(":")
        process = PROCESS.search(words[6]) if len(words) > 6 else None
        if PORT.fullmatch(port):
            name = process[1] if process else ""
            yield Socket(words[0], plain_address(address), int(port), name)


@dataclass(frozen=True, order=True)
class PublishedPort:
    """Ports of a container that are published. address: of the host, "" for all."""

    first: int
    last: int
    protocol: str
    container: str
    address: str = field(default="", compare=False)

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}:{self.last}"
        return f"{ports}/{self.protocol} (container {self.container})"


def parse_published(ports: str, container: str) -> Iterator[PublishedPort]:
    """The Ports column of `docker ps`: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 9000/tcp`."""
    for match in PUBLISHED.finditer(ports):
        first, last = int(match["first"]), int(match["last"] or match["first"])
        address = plain_address(match["address"])
        yield PublishedPort(first, last, match["protocol"], container, address)
