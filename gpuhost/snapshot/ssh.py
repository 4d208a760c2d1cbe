"""SSH: its configured ports, its listening ports, and the port of this login."""

from __future__ import annotations

import re
from dataclasses import dataclass

from gpuhost.domain.firewall.listeners import parse_ss, ssh_ports
from gpuhost.snapshot.ports import LISTENERS
from gpuhost.snapshot.probes import NotRead, Probe, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import read_units

CONFIGURATION = "/etc/ssh/sshd_config"
_ADDRESS = re.compile(r"^listenaddress (?P<address>\S+):(?P<port>\d{1,5})$", re.MULTILINE)
_PORT = re.compile(r"^port (\d{1,5})$", re.MULTILINE)
SOCKET = "ssh.socket"
# OpenSSH, sshd.c: keys that are missing, empty or open to others are left out.
NO_KEYS = "no hostkeys available"
REQUEST = Request(
    units=(SOCKET,),
    probes=(
        LISTENERS,
        ProbeCommand("sshd", "sshd -T"),
        ProbeCommand("ssh_connection", "printenv SSH_CONNECTION", at_once=True, absent=Probe(1)),
    ),
)


@dataclass(frozen=True)
class Ssh:
    """The ports of SSH.

    + configured: where sshd listens after its next start; empty: unknown
    + listening: where SSH listens now
    + login: the port of this login; None: not over SSH
    + socket: systemd listens instead of sshd
    + complaint: sshd's error about its configuration
    """

    configured: frozenset[int]
    listening: frozenset[int]
    login: int | None
    socket: bool
    complaint: str

    @classmethod
    def read(cls, probes: Probes) -> Ssh:
        probe = probes.get("sshd")
        if probe.rc is None:
            raise NotRead("sshd -T timed out")
        socket = read_units(probes).get(SOCKET)
        listeners = parse_ss(probes.output("listeners"))
        units, connection = (probes.get(name).out for name in ("units", "ssh_connection"))
        login = connection.split()[3:4]
        return cls(
            configured=_configured(probe.out) if probe.rc == 0 else frozenset(),
            listening=frozenset(ssh_ports("", units, "", listeners)),
            login=int(login[0]) if login and login[0].isdecimal() else None,
            socket=socket is not None and socket.active,
            complaint=_complaint(probe.out + probe.err) if probe.rc != 0 else "",
        )


def _configured(options: str) -> frozenset[int]:
    """A ListenAddress with a port overrides `Port`; loopback addresses do not count."""
    addresses = list(_ADDRESS.finditer(options))
    if not addresses:
        return frozenset(int(port) for port in _PORT.findall(options))
    return frozenset(
        int(match["port"])
        for match in addresses
        if not match["address"].startswith(("127.", "[::1]", "::1"))
    )


def _complaint(output: str) -> str:
    """Why sshd does not start again; "" if only this test of its configuration failed."""
    every = [line.strip() for line in output.splitlines()]
    lines = [line for line in every if CONFIGURATION in line and "terminating" not in line]
    if not any(NO_KEYS in line for line in every):
        return next(iter(lines), "")
    # The names of the keys, and what is wrong with each.
    unread = [line for line in every if line.startswith("Unable to load host key")]
    return "; ".join([*dict.fromkeys(unread), NO_KEYS])
