"""Programs that listen on a host's addresses, and the ports on which SSH is reached."""

from __future__ import annotations

import re
from collections.abc import Iterable
from dataclasses import dataclass
from functools import lru_cache

from gpuhost.domain.firewall.sockets import PORT, Socket, is_loopback, parse_sockets

PORT_LINE = re.compile(r"^port (\d{1,5})$", re.MULTILINE)
STREAM = re.compile(r":(\d{1,5}) \(Stream\)")

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


# Two parts of a snapshot need each.
@lru_cache(maxsize=4)
def parse_ss(output: str) -> tuple[Listener, ...]:
    """What `ss` printed, without loopback and without clients' sockets."""
    found = (_listener(each) for each in parse_sockets(output) if not is_loopback(each.address))
    return tuple(sorted({listener for listener in found if not _is_client(listener)}))


def _listener(socket: Socket) -> Listener:
    """A client's socket has no address of its own before it connects."""
    doubtful = socket.protocol == "udp" and not socket.address and bool(socket.process)
    return Listener(
        socket.port, socket.protocol, socket.process, doubtful and socket.port in EPHEMERAL
    )


def may_be_a_client(listener: Listener) -> bool:
    """A finished client looks the same, and WireGuard too: only a second reading shows it."""
    return listener.protocol == "udp" and listener.port >= EPHEMERAL.start


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
