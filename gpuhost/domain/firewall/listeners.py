"""Programs that listen on a host's addresses, and the ports on which SSH is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass, replace
from ipaddress import ip_address

from gpuhost.domain.firewall.rule import Protocol

PORT = re.compile(r"[0-9]{1,5}")
PROCESS = re.compile(r'\("([^"]*)",pid=(\d+)')
PORT_LINE = re.compile(r"^port (\d{1,5})$", re.MULTILINE)
STREAM = re.compile(r":(\d{1,5}) \(Stream\)")
PUBLISHED = re.compile(
    r"(?P<address>\S+):(?P<first>\d{1,5})(?:-(?P<last>\d{1,5}))?->\S+/(?P<protocol>\w+)"
)

# Ports that clients bind and only get answers on: DHCP and DHCPv6.
CLIENT_PORTS = {68, 546}
# What these programs have there is answered over multicast, which ufw lets in (before.rules).
MDNS, LLMNR = 5353, 5355
MDNS_PROGRAMS = ("avahi-daemon", "systemd-resolve", "mdnsd")
NTP = 123
# From these the kernel takes a port for a socket that asks for none (net.ipv4.ip_local_port_range).
EPHEMERAL = range(32768, 61000)
# Programs whose UDP sockets there are those of a client.
CLIENTS = {
    *("avahi-daemon", "systemd-resolve", "systemd-timesyn", "systemd-network", "chronyd", "ntpd"),
    *("dhclient", "dhcpcd", "NetworkManager", "rsyslogd", "dnsmasq", "named", "unbound", "snmpd"),
}
DOCKER_PROXY = "docker-proxy"
ENGINE_PROGRAM = "dockerd"
# IP protocols of raw sockets that need no open port: ICMP, TCP, UDP, and 255, which only sends.
HARMLESS_RAW = {1, 6, 17, 58, 255}
RAW_NAMES = {2: "IGMP", 47: "GRE", 50: "ESP", 89: "OSPF", 103: "PIM", 112: "VRRP"}


@dataclass(frozen=True, order=True)
class Listener:
    """A socket that others can reach.

    + port: of a raw socket: the IP protocol
    + protocol: tcp, udp, sctp, dccp or raw
    + process: its program, "" if the kernel itself listens
    + perhaps_client: it looks the same as a socket of a client
    """

    port: int
    protocol: str
    process: str
    perhaps_client: bool = False

    def __str__(self) -> str:
        process = self.process or "kernel"
        if self.protocol == "raw":
            name = RAW_NAMES.get(self.port)
            return f"IP protocol {self.port}{f', {name}' if name else ''} ({process})"
        if self.process == DOCKER_PROXY:
            process += ", of an engine that gpuhost does not read"
        return f"{self.port}/{self.protocol} ({process}{self._doubt})"

    @property
    def _doubt(self) -> str:
        if self.port == NTP and self.protocol == "udp":
            return "; to set its own clock it needs no open port"
        return "; perhaps only a client" if self.perhaps_client else ""


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


def parse_ss(output: str) -> tuple[Listener, ...]:
    """`ss -Hltnup` or `ss -HlnpwSd`, without loopback and without clients' sockets."""
    listeners = set()
    for line in output.splitlines():
        words = line.split(None, 6)
        if len(words) < 6 or words[0] not in ("tcp", "udp", "sctp", "dccp", "raw"):
            continue
        address, _, port = words[4].rpartition(":")
        if not PORT.fullmatch(port) or _is_loopback(address):
            continue
        process = PROCESS.search(words[6]) if len(words) > 6 else None
        listener = Listener(int(port), words[0], process[1] if process else "")
        if listener.protocol == "udp" and _is_any(address):
            doubtful = bool(listener.process) and listener.port in EPHEMERAL
            listener = replace(listener, perhaps_client=doubtful)
        if not _is_client(listener):
            listeners.add(listener)
    return tuple(sorted(listeners))


def may_be_a_client(listener: Listener) -> bool:
    """A finished client looks the same, and WireGuard too: only a second reading shows it."""
    return listener.protocol == "udp" and listener.port >= EPHEMERAL.start


def _is_loopback(address: str) -> bool:
    bare = address.strip("[]").partition("%")[0]
    try:
        return ip_address(bare).is_loopback
    except ValueError:
        return False


def _is_any(address: str) -> bool:
    """Whether it is bound to no address of its own, as a client's socket is before it connects."""
    return address.strip("[]").partition("%")[0] in ("*", "0.0.0.0", "::")  # noqa: S104


def _is_client(listener: Listener) -> bool:
    if listener.port == LLMNR and listener.process.startswith("systemd-resolve"):
        return True
    if listener.protocol == "raw":
        return listener.port in HARMLESS_RAW
    if listener.protocol != "udp":
        return False
    if listener.port == MDNS:
        return listener.process in MDNS_PROGRAMS
    if listener.perhaps_client and listener.process in CLIENTS:
        return True
    return listener.port in CLIENT_PORTS


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
