"""Programs that listen on a host's addresses, and the ports on which SSH is reached."""

from __future__ import annotations

import re
from collections.abc import Container, Iterable
from dataclasses import dataclass
from ipaddress import ip_address

from gpuhost.domain.firewall.rule import Protocol

PORT = re.compile(r"[0-9]{1,5}")
PROCESS = re.compile(r'\("([^"]*)",pid=(\d+)')
PORT_LINE = re.compile(r"^port (\d{1,5})$", re.MULTILINE)
STREAM = re.compile(r":(\d{1,5}) \(Stream\)")
PUBLISHED = re.compile(
    r"(?P<address>\S+):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?->\S+/(?P<protocol>\w+)"
)

# Ports that clients bind and only get answers on: DHCP, DHCPv6, NTP, mDNS.
CLIENT_PORTS = {68, 546, 123, 5353}
# systemd-resolved answers LLMNR by default; no service depends on it.
LLMNR = 5355
EPHEMERAL = 32768
DOCKER_PROXY = "docker-proxy"


@dataclass(frozen=True, order=True)
class Listener:
    """A socket that others can reach. process: its program, "" if the kernel itself listens."""

    port: int
    protocol: Protocol
    process: str

    def __str__(self) -> str:
        return f"{self.port}/{self.protocol} ({self.process or 'kernel'})"


@dataclass(frozen=True, order=True)
class PublishedPort:
    """Ports of a container that are published beyond the host itself."""

    first: int
    last: int
    protocol: Protocol
    container: str

    def __str__(self) -> str:
        ports = f"{self.first}" if self.first == self.last else f"{self.first}:{self.last}"
        return f"{ports}/{self.protocol} (container {self.container})"


def parse_ss(output: str, published: Container[tuple[int, str]] = ()) -> tuple[Listener, ...]:
    """`ss -Hltnup`, without loopback and clients' sockets.

    + published: ports and protocols of containers that were read: their docker-proxy is left out.
      One that is not among them belongs to an engine that nobody has read
    """
    listeners = set()
    for line in output.splitlines():
        words = line.split(None, 6)
        if len(words) < 6 or words[0] not in ("tcp", "udp"):
            continue
        protocol: Protocol = "tcp" if words[0] == "tcp" else "udp"
        address, _, port = words[4].rpartition(":")
        if not PORT.fullmatch(port) or _is_loopback(address):
            continue
        process = PROCESS.search(words[6]) if len(words) > 6 else None
        listener = Listener(int(port), protocol, process[1] if process else "")
        is_known = (listener.port, protocol) in published
        if not (is_known and listener.process == DOCKER_PROXY) and not _is_client(listener):
            listeners.add(listener)
    return tuple(sorted(listeners))


def may_be_a_client(listener: Listener) -> bool:
    """A finished client looks the same, and WireGuard too: only a second reading shows it."""
    return listener.protocol == "udp" and not listener.process and listener.port >= EPHEMERAL


def _is_loopback(address: str) -> bool:
    bare = address.strip("[]").partition("%")[0]
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def _is_client(listener: Listener) -> bool:
    if listener.port == LLMNR and listener.process.startswith("systemd-resolve"):
        return True
    if listener.protocol == "tcp":
        return False
    return listener.port in CLIENT_PORTS or bool(listener.port >= EPHEMERAL and listener.process)


def parse_published(ports: str, container: str) -> Iterable[PublishedPort]:
    """The Ports column of `docker ps`: `0.0.0.0:8080->80/tcp, [::]:8080->80/tcp, 9000/tcp`."""
    for match in PUBLISHED.finditer(ports):
        if match["protocol"] in ("tcp", "udp") and not _is_loopback(match["address"]):
            protocol: Protocol = "tcp" if match["protocol"] == "tcp" else "udp"
            first = int(match["first"])
            yield PublishedPort(first, int(match["last"] or first), protocol, container)


def ssh_ports(sshd: str, units: str, connection: str, listeners: Iterable[Listener]) -> list[int]:
    """Every port on which this host is reached over SSH.

    + sshd: what `sshd -T` printed; empty if it could not be run
    + units: `systemctl show` with ssh.socket, which listens in sshd's place on Ubuntu
    + connection: SSH_CONNECTION of this login: client, port, server, port
    + listeners: sockets, of which sshd's count
    """
    ports = {int(port) for port in PORT_LINE.findall(sshd)}
    ports |= {listener.port for listener in listeners if listener.process in ("sshd", "dropbear")}
    for block in units.split("\n\n"):
        if "Id=ssh.socket" in block and "ActiveState=active" in block:
            ports |= {int(port) for port in STREAM.findall(block)}
    words = connection.split()
    if len(words) == 4 and PORT.fullmatch(words[3]):
        ports.add(int(words[3]))
    return sorted(port for port in ports if 0 < port < 65536)
