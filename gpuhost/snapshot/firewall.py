"""The firewall in its files and in the kernel, and the ports behind it."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass

from gpuhost.domain.firewall.listeners import Listener, may_be_a_client, parse_ss, ssh_ports
from gpuhost.domain.firewall.published import RULES, foreign_bridges
from gpuhost.domain.firewall.rule import Family
from gpuhost.domain.firewall.tables import Tables, parse_nft_tables
from gpuhost.domain.firewall.ufw import USER_RULES, UfwRule, parse_user_rules
from gpuhost.snapshot.packages import installed_packages
from gpuhost.snapshot.ports import LISTENERS, published_ports
from gpuhost.snapshot.probes import NotRead, Probes
from gpuhost.snapshot.request import ProbeCommand, Request
from gpuhost.snapshot.units import Unit, read_units

UFW_DEFAULTS = "/etc/default/ufw"
UFW_CONF = "/etc/ufw/ufw.conf"
REVERTED_FILE = "/var/lib/gpuhost/firewall/reverted"
PENDING = "/var/lib/gpuhost/firewall/pending"
SAVED: dict[Family, str] = {4: "iptables_save", 6: "ip6tables_save"}
NO_SUCH_COMMAND = 127
EPOCH = re.compile(r"[0-9]{1,11}")
REQUEST = Request(
    files=(UFW_DEFAULTS, UFW_CONF, REVERTED_FILE, *USER_RULES.values(), *RULES.values()),
    packages=("ufw",),
    units=("ufw.service", "firewalld.service"),
    plain=(PENDING,),
    probes=(
        ProbeCommand(SAVED[4], "iptables-save -t filter", seconds=20),
        ProbeCommand(SAVED[6], "ip6tables-save -t filter", seconds=20),
        ProbeCommand("nft_tables", "nft list tables"),
        ProbeCommand("interfaces", "ls /sys/class/net", at_once=True),
        # A socket that no longer exists at the second reading belonged to a client.
        ProbeCommand("listeners_again", LISTENERS.command, last=True, absent=None),
    ),
)


@dataclass(frozen=True)
class Ufw:
    """ufw's own configuration.

    + enabled: enabled in its file; the kernel may still not have its rules
    + incoming: the default policy: drop, reject or accept
    + owns_tables: MANAGE_BUILTINS: it empties every table, also of Docker's rules
    """

    installed: bool
    enabled: bool
    at_boot: bool
    ipv6: bool
    incoming: str
    owns_tables: bool
    rules: Mapping[Family, tuple[UfwRule, ...]]


@dataclass(frozen=True)
class Firewall:
    """Everything that decides which connections may come in.

    + kernel: the tables per version of IP; no 6 if the kernel has no IPv6
    + nft_tables: tables of nftables that iptables does not show, such as "inet filter"
    + published: our files with the rules for published ports; None: no file
    + ssh_ports: where SSH listens
    + foreign_bridges: interfaces with names like containers' bridges that are not Docker's
    + undone: time of the last revert of an unconfirmed change, epoch seconds
    """

    ufw: Ufw
    kernel: Mapping[Family, Tables]
    nft_tables: tuple[str, ...]
    published: Mapping[Family, str | None]
    units: Mapping[str, Unit]
    listeners: tuple[Listener, ...]
    ssh_ports: tuple[int, ...]
    foreign_bridges: tuple[str, ...]
    undone: int | None

    @classmethod
    def read(cls, probes: Probes) -> Firewall:
        units = read_units(probes)
        listeners = _lasting(probes)
        undone = (probes.file(REVERTED_FILE) or "").strip()
        return cls(
            ufw=_ufw(probes, units),
            kernel=_kernel(probes),
            nft_tables=tuple(parse_nft_tables(probes.get("nft_tables").out)),
            published={family: probes.file(path) for family, path in RULES.items()},
            units=units,
            listeners=listeners,
            ssh_ports=tuple(_ssh_ports(probes, listeners)),
            foreign_bridges=tuple(foreign_bridges(probes.output("interfaces").split())),
            undone=int(undone) if EPOCH.fullmatch(undone) else None,
        )


def _ufw(probes: Probes, units: Mapping[str, Unit]) -> Ufw:
    defaults = _assignments(probes.file(UFW_DEFAULTS) or "")
    conf = _assignments(probes.file(UFW_CONF) or "")
    return Ufw(
        installed="ufw" in installed_packages(probes),
        enabled=conf.get("ENABLED") == "yes",
        at_boot="ufw.service" in units and units["ufw.service"].enabled,
        ipv6=defaults.get("IPV6") == "yes",
        incoming=defaults.get("DEFAULT_INPUT_POLICY", ""),
        owns_tables=defaults.get("MANAGE_BUILTINS") == "yes",
        rules={
            family: parse_user_rules(probes.file(path) or "", family)
            for family, path in USER_RULES.items()
        },
    )


def _assignments(text: str) -> dict[str, str]:
    pairs = (line.partition("=") for line in text.splitlines() if not line.startswith("#"))
    return {
        key.strip(): value.strip().strip("\"'").lower() for key, equals, value in pairs if equals
    }


def _kernel(probes: Probes) -> dict[Family, Tables]:
    """Without iptables on the host, or IPv6 in the kernel, there are no rules."""
    tables: dict[Family, Tables] = {}
    for family, name in SAVED.items():
        probe = probes.get(name)
        if probe.rc is None:
            raise NotRead(f"{name.replace('_', '-')} timed out")
        if probe.rc == 0:
            tables[family] = Tables.parse(probe.out)
        elif probe.rc == NO_SUCH_COMMAND:
            tables[family] = Tables({})
        elif family == 4:
            raise NotRead(f"iptables-save: {probe.complaint}")
    return tables


def _lasting(probes: Probes) -> tuple[Listener, ...]:
    """The listening sockets, without those of clients that were closed a moment later."""
    published = published_ports(probes)
    listeners = parse_ss(probes.output("listeners"), published)
    if "listeners_again" not in probes:
        return listeners
    again = parse_ss(probes.output("listeners_again"), published)
    return tuple(
        listener for listener in listeners if listener in again or not may_be_a_client(listener)
    )


def _ssh_ports(probes: Probes, listeners: tuple[Listener, ...]) -> list[int]:
    sshd, units, connection = (probes.get(n).out for n in ("sshd", "units", "ssh_connection"))
    return ssh_ports(sshd, units, connection, listeners)
